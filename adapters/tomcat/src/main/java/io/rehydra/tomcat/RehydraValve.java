package io.rehydra.tomcat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

import javax.servlet.ServletException;

import org.apache.catalina.Context;
import org.apache.catalina.LifecycleException;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.session.StandardSession;
import org.apache.catalina.valves.ValveBase;

/**
 * The Tomcat side of Rehydra's session protocol, for context.xml, or for a Host or the Engine in server.xml.
 *
 * <pre>
 * &lt;Valve className="io.rehydra.tomcat.RehydraValve" token="..."/&gt;
 * </pre>
 *
 * A request without the token passes untouched. For one with it, the valve makes sure that the session is here before the
 * application runs, and the response tells the load balancer what the session looks like afterwards. It starts no thread
 * and keeps nothing beyond the sessions themselves. It must come before an authenticator; Tomcat adds those last by itself.
 */
public final class RehydraValve extends ValveBase {

    private String token;
    private int inlineLimit = 4096;
    private String ignore;
    private String serialization = Serializers.JAVA;
    private String sessionAttributeFilter;
    private volatile Adapter adapter;

    public RehydraValve() {
        // The argument says that asynchronous requests may pass.
        super(true);
    }

    /** The secret that the load balancer's {@code [session] token} holds too. Required. */
    public void setToken(String token) {
        this.token = token;
    }

    /** Bytes of state that a response header may carry, 4096 unless set. What is larger goes in trailer fields or is asked for. */
    public void setInlineLimit(int inlineLimit) {
        this.inlineLimit = inlineLimit;
    }

    public int getInlineLimit() {
        return inlineLimit;
    }

    /** A regular expression, found anywhere in the decoded path: requests whose sessions are neither restored nor reported. */
    public void setIgnore(String ignore) {
        this.ignore = ignore;
    }

    public String getIgnore() {
        return ignore;
    }

    /**
     * What writes the values of attributes: {@code java} unless set, {@code kryo} with its jar, or the name of a class that implements
     * {@link Serializer}. Whatever it is, what Java wrote is read, and what Kryo wrote if its jar is there.
     */
    public void setSerialization(String serialization) {
        this.serialization = serialization;
    }

    public String getSerialization() {
        return serialization;
    }

    /** A regular expression that matches the whole names of the attributes that are kept; unless set all are. */
    public void setSessionAttributeFilter(String sessionAttributeFilter) {
        this.sessionAttributeFilter = sessionAttributeFilter;
    }

    public String getSessionAttributeFilter() {
        return sessionAttributeFilter;
    }

    /**
     * Checks the attributes and this Tomcat.
     *
     * @throws LifecycleException if an attribute is missing or wrong, or if this is no Tomcat that the adapter knows
     */
    @Override
    protected synchronized void startInternal() throws LifecycleException {
        if (token == null || token.trim().isEmpty()) {
            throw new LifecycleException("cannot start RehydraValve: the attribute token is missing; it must be the token of [session]");
        }
        if (inlineLimit < 0) {
            throw new LifecycleException("cannot start RehydraValve: inlineLimit is " + inlineLimit + ", want 0 or more bytes");
        }
        try {
            TooOld.check();
            adapter = new Adapter(token.getBytes(StandardCharsets.UTF_8), inlineLimit, pattern("ignore", ignore), serialization.trim(),
                    pattern("sessionAttributeFilter", sessionAttributeFilter), container.getLogger());
        } catch (IllegalStateException e) {
            throw new LifecycleException("cannot start RehydraValve: " + e.getMessage(), e);
        }
        super.startInternal();
    }

    /** The pattern of an attribute, or null if it is not set. */
    private static Pattern pattern(String attribute, String text) throws LifecycleException {
        try {
            return text == null || text.isEmpty() ? null : Pattern.compile(text);
        } catch (PatternSyntaxException e) {
            throw new LifecycleException("cannot start RehydraValve: " + attribute + " is \"" + text + "\", want a regular expression", e);
        }
    }

    @Override
    protected synchronized void stopInternal() throws LifecycleException {
        super.stopInternal();
        Adapter last = adapter;
        adapter = null;
        if (last != null) {
            last.stop();
        }
    }

    @Override
    public void invoke(Request request, Response response) throws IOException, ServletException {
        Adapter current = adapter;
        Context context = request.getContext();
        boolean known = Exchange.of(request) != null;
        // Known: an asynchronous request that is dispatched again, or a second valve.
        TierFields tier = current == null || context == null || known ? null : TierFields.take(request.getCoyoteRequest().getMimeHeaders(), current.token);
        if (tier == null) {
            getNext().invoke(request, response);
            return;
        }
        Application application = current.application(context);
        String app = application.name();
        LocalSessions sessions = new LocalSessions(context, application.codec);
        if (!sessions.isUsable()) {
            getNext().invoke(request, response);
            return;
        }
        if (tier.op != null) {
            new Operations(current, sessions, app, request, response).answer(tier.op, tier.id, tier.have);
            return;
        }
        Exchange exchange = new Exchange(current, request, app);
        boolean ran = false;
        try {
            if (prepare(current, exchange, sessions, app, request, response, tier)) {
                exchange.begin();
                ran = true;
                run(current, exchange, request, response);
            }
        } finally {
            if (!ran) {
                exchange.release();
            }
        }
    }

    private void run(Adapter current, Exchange exchange, Request request, Response response) throws IOException, ServletException {
        try {
            getNext().invoke(request, response);
        } finally {
            if (request.isAsync()) {
                current.internals.asyncContext(request).addListener(new AsyncEnd(exchange));
            } else {
                exchange.end();
            }
        }
    }

    /** Makes the session ready. False: the request was answered, the application must not run. */
    private boolean prepare(Adapter current, Exchange exchange, LocalSessions sessions, String app, Request request, Response response,
            TierFields tier) throws IOException {
        Have have = Have.parse(tier.have);
        String sent = SessionId.isSafe(tier.id) && have != null ? tier.id : null;
        String stateText = tier.state;
        List<String> ids = SessionIds.of(request);
        if (current.ignore != null && current.ignore.matcher(request.getDecodedRequestURI()).find()) {
            exchange.ignore();
            // A state that came all the same counts as installed for the tier.
            ids = stateText == null || sent == null ? new ArrayList<String>() : ids;
        }
        if (sent == null || ids.isEmpty()) {
            return true;
        }
        Decision decision;
        StandardSession use;
        synchronized (current.lock(app, sent)) {
            decision = Decision.of(sent, have, stateText != null, candidates(sessions, ids), sessions.route());
            if (decision.drop) {
                sessions.drop(sent);
            }
            if (decision.install && !install(current, sessions, sent, have.version(), stateText, app)) {
                // It is asked for again, which says that it could not be read and that the application did not run.
                response.setStatus(Protocol.PRECONDITION_REQUIRED);
                response.setHeader(Protocol.ADAPTER, Protocol.ADAPTER_VERSION);
                response.setHeader(Protocol.NEED, Protocol.need(sent, app));
                return false;
            }
            use = decision.use == null ? null : sessions.find(decision.use);
            if (use != null) {
                exchange.hold(use);
            }
        }
        if (decision.need != null) {
            response.setStatus(Protocol.PRECONDITION_REQUIRED);
            response.setHeader(Protocol.ADAPTER, Protocol.ADAPTER_VERSION);
            response.setHeader(Protocol.NEED, Protocol.need(decision.need, app));
            return false;
        }
        if (use != null) {
            exchange.use(use);
        }
        return true;
    }

    private static List<Decision.Candidate> candidates(LocalSessions sessions, List<String> ids) throws IOException {
        List<Decision.Candidate> candidates = new ArrayList<>(ids.size());
        for (String id : ids) {
            StandardSession session = sessions.find(id);
            if (session == null) {
                candidates.add(new Decision.Candidate(id, null, false));
            } else {
                candidates.add(new Decision.Candidate(id, SessionRecord.version(session), id.equals(session.getIdInternal())));
            }
        }
        return candidates;
    }

    /** False: the state cannot be read. Running without it would lose what the tier kept, so the application does not run. */
    private static boolean install(Adapter current, LocalSessions sessions, String id, Version version, String stateText, String app) {
        try {
            sessions.install(id, version, Base64.getUrlDecoder().decode(stateText));
            return true;
        } catch (IllegalArgumentException e) {
            current.log.error("cannot install a session of " + app + ": " + Protocol.STATE + " is no base64url");
        } catch (IOException e) {
            current.log.error("cannot install a session of " + app + ": " + e.getMessage());
        }
        return false;
    }
}
