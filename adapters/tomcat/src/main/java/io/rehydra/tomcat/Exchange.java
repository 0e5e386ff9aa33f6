package io.rehydra.tomcat;

import java.util.ConcurrentModificationException;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Supplier;

import org.apache.catalina.Session;
import org.apache.catalina.connector.Request;
import org.apache.catalina.session.StandardSession;
import org.apache.catalina.util.SessionConfig;
import org.apache.coyote.ActionCode;
import org.apache.coyote.Response;

/**
 * One request of the tier and its response: which session it began with, and what the response says of the session it
 * ends with. Its methods are called by the valve, by {@link CommitHook} and, for asynchronous requests, by a listener, from
 * whichever thread writes the response.
 */
final class Exchange {

    private static final String NOTE = Exchange.class.getName();

    private final Adapter adapter;
    private final Request request;
    private final Response response;
    private final String app;
    /** The local session that the request began with, or null, and its id then. */
    private StandardSession start;
    private String startId;
    /** What this request counts as running under, or null. */
    private RunningSessions.Entry running;
    private boolean cookieDue;
    private boolean ignored;

    private boolean headDone;
    private boolean ended;
    private boolean endHeld;
    private boolean late;
    /** After the application: whether it set a Content-Length itself. */
    private boolean ownLength;
    /** The id that the head told, where the last word was still to come. */
    private String toldId;
    private SessionRecord pulling;

    Exchange(Adapter adapter, Request request, String app) {
        this.adapter = adapter;
        this.request = request;
        this.response = request.getResponse().getCoyoteResponse();
        this.app = app;
    }

    /** The exchange of this request, or null: not the tier's, or over. */
    static Exchange of(Request request) {
        return (Exchange) request.getNote(NOTE);
    }

    /** From here on the response carries the adapter's fields. */
    void begin() {
        request.setNote(NOTE, this);
        CommitHook.install(request, adapter.internals);
    }

    /** The request is none that the tier wants to hear about: its response names the adapter and nothing else. */
    void ignore() {
        ignored = true;
    }

    /** From here on the session is not dropped. Called with the session's lock held, so that no drop comes in between. */
    void hold(StandardSession session) {
        running = adapter.running.enter(app, session.getIdInternal());
    }

    /** Ends what hold began, if it did. */
    synchronized void release() {
        if (running != null) {
            adapter.running.leave(running);
            running = null;
        }
    }

    /** The application will find this local session; the client learns its id if it sent another. */
    void use(StandardSession session) {
        start = session;
        startId = session.getIdInternal();
        if (!startId.equals(request.getRequestedSessionId())) {
            request.changeSessionId(startId);
            cookieDue = true;
        }
    }

    /** Called before the head of the response is written, at most once with an effect. */
    synchronized void beforeHead() {
        if (headDone || response.isCommitted()) {
            return;
        }
        headDone = true;
        HeadField.set(response, Protocol.ADAPTER, Protocol.ADAPTER_VERSION);
        if (ignored) {
            return;
        }
        try {
            keepCookie();
            if (ended && (hasLength() || !mayHaveTrailers())) {
                lastWordInHead();
            } else {
                // The application runs, or its error page is longer than the buffer.
                firstWordInHead();
            }
        } catch (RuntimeException | StackOverflowError e) {
            adapter.log.error("cannot report a session of " + app + ": the tier will ask for it", e);
            Session session = used();
            if (session != null) {
                write(Report.of(Report.Kind.PULL, session.getIdInternal(), null, SessionRecord.version(session), 0));
            }
        }
    }

    /** The session that the application has used so far, else the one the request began with, else null. Not an access. */
    private Session used() {
        Session used = adapter.internals.usedSession(request);
        return used != null && used.isValid() ? used : start;
    }

    /** A reset of the response loses Set-Cookie too; the client must learn the new id all the same. */
    private void keepCookie() {
        if (!cookieDue || !start.isValid() || !startId.equals(start.getIdInternal())) {
            return;
        }
        String begin = SessionConfig.getSessionCookieName(request.getContext()) + '=';
        for (String value : request.getResponse().getHeaders("Set-Cookie")) {
            if (value.startsWith(begin)) {
                return;
            }
        }
        request.changeSessionId(startId);
    }

    private void firstWordInHead() {
        Session session = used();
        if (session == null) {
            // No session can begin once the head is out.
            return;
        }
        if (!session.isValid()) {
            write(gone());
            return;
        }
        SessionRecord record = SessionRecord.of(session);
        record.announce();
        toldId = session.getIdInternal();
        Report report = Report.of(Report.Kind.LATE, toldId, was(session), record.version(), session.getMaxInactiveInterval());
        if (mayHaveTrailers() && !hasLength()) {
            late = true;
            adapter.internals.setTrailers(response, trailers(null));
        } else {
            report = report.as(Report.Kind.PULL);
            if (!ended) {
                pulling = record;
                record.pullBegins();
            }
        }
        write(report);
    }

    private void lastWordInHead() {
        Report report = lastWord();
        if (report == null) {
            return;
        }
        if (report.kind() != Report.Kind.INLINE) {
            write(report);
            return;
        }
        int length = report.state().length;
        String header = report.header(app);
        if (length <= adapter.inlineLimit && HeadSize.fits(request, header.length() + length * 4 / 3 + 64)) {
            HeadField.set(response, Protocol.SESSION, header);
            HeadField.set(response, Protocol.STATE, report.stateField());
        } else if (length <= Protocol.TRAILER_LIMIT && mayHaveTrailers() && !ownLength && !isSendfile()) {
            adapter.internals.setTrailers(response, trailers(report));
            write(report.as(Report.Kind.LATE));
        } else {
            write(report.as(Report.Kind.PULL));
        }
    }

    private void write(Report report) {
        HeadField.set(response, Protocol.SESSION, report.header(app));
    }

    /**
     * The session as the application left it, or null if the request concerned none.
     * Counts as an access of the session, as Tomcat's ACCESS_SESSION has it: the tier extends the copies' lives too.
     */
    private Report lastWord() {
        boolean accessed = adapter.internals.usedSession(request) != null;
        Session found = request.getSessionInternal(false);
        StandardSession session = found instanceof StandardSession ? (StandardSession) found : null;
        boolean startEnded = start != null && !start.isValid();
        if (session == null && startEnded) {
            return gone();
        }
        if (session == null) {
            // Dropped since the application was done: it is what this request had all the same.
            session = start;
        }
        if (session == null) {
            return null;
        }
        SessionRecord record = SessionRecord.of(session);
        if (startEnded && SessionId.sameBase(startId, session.getIdInternal())) {
            record.follow(SessionRecord.version(start));
        }
        ClassLoader before = Thread.currentThread().getContextClassLoader();
        Thread.currentThread().setContextClassLoader(request.getContext().getLoader().getClassLoader());
        try {
            return record.report(session, was(session), accessed, adapter.application(request.getContext()).codec);
        } catch (ConcurrentModificationException e) {
            return Report.of(Report.Kind.PULL, session.getIdInternal(), was(session), record.version(), session.getMaxInactiveInterval());
        } catch (IllegalStateException e) {
            if (session.isValid()) {
                throw e;
            }
            // Another request ended it at this moment.
            return Report.of(Report.Kind.GONE, session.getIdInternal(), was(session), record.version(), 0);
        } finally {
            Thread.currentThread().setContextClassLoader(before);
        }
    }

    private Report gone() {
        return Report.of(Report.Kind.GONE, startId, null, SessionRecord.version(start), start.getMaxInactiveInterval());
    }

    /** The id that this request took the place of: the one it came with, or the one its own head told. */
    private String was(Session session) {
        String id = session.getIdInternal();
        boolean sameSession = start != null && (session == start || !start.isValid());
        if (sameSession && !SessionId.sameBase(id, startId)) {
            return startId;
        }
        return start == null && toldId != null && !SessionId.sameBase(id, toldId) ? toldId : null;
    }

    /** The trailer fields of this response: the application's, and the last word on the session. */
    private Supplier<Map<String, String>> trailers(Report known) {
        Supplier<Map<String, String>> before = adapter.internals.trailers(response);
        return () -> {
            Map<String, String> own = before == null ? null : before.get();
            Map<String, String> fields = own == null ? new HashMap<>() : new HashMap<>(own);
            try {
                // Not there any more: the connection broke and the request was taken away.
                Report report = known != null ? known : of(request) == this ? lastWord() : null;
                if (report != null && report.state() != null && report.state().length > Protocol.TRAILER_LIMIT) {
                    report = report.as(Report.Kind.PULL);
                }
                if (report != null) {
                    fields.put(Protocol.SESSION, report.header(app));
                    if (report.state() != null) {
                        fields.put(Protocol.STATE, report.stateText());
                    }
                }
            } catch (RuntimeException | StackOverflowError e) {
                // Missing trailers make the tier ask.
                adapter.log.error("cannot report a session of " + app, e);
            }
            return fields;
        };
    }

    /** Whether the end of the body must wait: the application closed it, but it runs on and may still change the session. */
    synchronized boolean holdsEnd() {
        endHeld = late && !ended && !request.isAsync();
        return endHeld;
    }

    /** The application is done with this request. Called once or more. */
    void end() {
        boolean close;
        synchronized (this) {
            if (ended) {
                return;
            }
            ended = true;
            ownLength = !response.isCommitted() && hasLength();
            close = endHeld;
        }
        if (start != null && !start.isValid()) {
            adapter.ended.add(app, startId);
        }
        if (pulling != null) {
            pulling.pullEnds();
        }
        release();
        if (close) {
            response.action(ActionCode.CLOSE, null);
        }
    }

    private boolean hasLength() {
        return response.getContentLengthLong() != -1;
    }

    private boolean mayHaveTrailers() {
        int status = response.getStatus();
        boolean body = status >= 200 && status != 204 && status != 205 && status != 304 && !"HEAD".equals(request.getMethod());
        return body && adapter.internals.hasTrailers(response);
    }

    /** Tomcat sends the file past the chunked encoding then. */
    private boolean isSendfile() {
        return request.getAttribute("org.apache.tomcat.sendfile.filename") != null;
    }
}
