package io.rehydra.tomcat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ConcurrentModificationException;

import org.apache.catalina.Session;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.session.StandardSession;

/** The tier's own requests, section 4 of the protocol: they are answered here and the application never sees them. */
final class Operations {

    /** How long a read waits for requests that answered "pull" and still run, milliseconds. */
    private static final long PULL_WAIT = 2000;

    /** Bytes of state that an install may bring; far more than a tier keeps. */
    private static final int INSTALL_LIMIT = 64 << 20;

    private final Adapter adapter;
    private final LocalSessions sessions;
    private final String app;
    private final Request request;
    private final Response response;

    Operations(Adapter adapter, LocalSessions sessions, String app, Request request, Response response) {
        this.adapter = adapter;
        this.sessions = sessions;
        this.app = app;
        this.request = request;
        this.response = response;
    }

    /**
     * Answers one operation.
     *
     * @param id   the value of Rehydra-Id, or null
     * @param have the value of Rehydra-Have, or null
     */
    void answer(String op, String id, String have) throws IOException {
        response.setHeader(Protocol.ADAPTER, Protocol.ADAPTER_VERSION);
        if (!Protocol.METHOD.equals(request.getMethod())) {
            response.setHeader("Allow", Protocol.METHOD);
            refuse(405, Protocol.OP + " needs the method " + Protocol.METHOD + ", not " + request.getMethod());
        } else if (op.equals("list")) {
            list();
        } else if (!SessionId.isSafe(id)) {
            refuse(400, Protocol.ID + " is missing or no session id");
        } else {
            answerFor(op, id, have);
        }
    }

    private void answerFor(String op, String id, String have) throws IOException {
        switch (op) {
            case "read":
                read(id);
                break;
            case "install":
                install(id, have);
                break;
            case "drop":
                drop(id);
                break;
            default:
                refuse(400, Protocol.OP + " is not read, install, drop or list");
        }
    }

    private void drop(String id) throws IOException {
        synchronized (adapter.lock(app, id)) {
            if (adapter.running.contains(app, id)) {
                refuse(409, "requests of this session run here");
                return;
            }
            sessions.drop(id);
        }
        response.setStatus(204);
    }

    private void read(String id) throws IOException {
        StandardSession session = sessions.find(id);
        if (session != null) {
            try {
                SessionRecord.of(session).awaitPulls(PULL_WAIT);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            // It may have ended, or been replaced, meanwhile.
            session = sessions.find(id);
        }
        if (session == null) {
            response.setStatus(adapter.ended.contains(app, id) ? 410 : 404);
            return;
        }
        try {
            answerState(session, SessionRecord.of(session).read(session, adapter.application(request.getContext()).codec));
        } catch (ConcurrentModificationException e) {
            refuse(503, "the session is being changed");
        } catch (IllegalStateException e) {
            if (session.isValid()) {
                throw e;
            }
            response.setStatus(410);
        }
    }

    private void answerState(StandardSession session, Report report) throws IOException {
        response.setHeader(Protocol.SESSION, report.as(Report.Kind.SAME).header(app));
        String known = request.getHeader("If-None-Match");
        if (known != null && known.equals('"' + SessionRecord.version(session).toString() + '"')) {
            response.setStatus(304);
            return;
        }
        byte[] state = report.state();
        response.setContentType("application/octet-stream");
        response.setContentLength(state.length);
        response.getOutputStream().write(state);
    }

    private void install(String id, String have) throws IOException {
        Version version = have == null ? null : Version.parse(have);
        if (version == null) {
            refuse(400, Protocol.HAVE + " is missing or no version");
            return;
        }
        byte[] state = body();
        if (state == null) {
            refuse(413, "a state of more than " + INSTALL_LIMIT + " bytes");
            return;
        }
        synchronized (adapter.lock(app, id)) {
            try {
                response.setStatus(sessions.install(id, version, state) ? 204 : 409);
            } catch (IOException e) {
                adapter.log.error("cannot install a session of " + app + ": " + e.getMessage());
                refuse(400, e.getMessage());
                return;
            }
            StandardSession session = sessions.find(id);
            if (session != null) {
                Report report = Report.of(Report.Kind.SAME, session.getIdInternal(), null, SessionRecord.version(session),
                        session.getMaxInactiveInterval());
                response.setHeader(Protocol.SESSION, report.header(app));
            }
        }
    }

    /** The request's body, or null if it is too long. */
    private byte[] body() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(Math.max(512, Math.min(request.getContentLength(), 1 << 20)));
        byte[] buffer = new byte[8192];
        InputStream in = request.getInputStream();
        for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
            if (bytes.size() + n > INSTALL_LIMIT) {
                return null;
            }
            bytes.write(buffer, 0, n);
        }
        return bytes.toByteArray();
    }

    private void list() throws IOException {
        StringBuilder out = new StringBuilder();
        long now = System.currentTimeMillis();
        for (Session session : sessions.all()) {
            if (session.isValid()) {
                long idle = Math.max(0, now - session.getThisAccessedTimeInternal()) / 1000;
                out.append(session.getIdInternal()).append(' ').append(SessionRecord.version(session)).append(' ')
                        .append(session.getMaxInactiveInterval()).append(' ').append(idle).append('\n');
            }
        }
        text(out.toString());
    }

    private void refuse(int status, String why) throws IOException {
        response.setStatus(status);
        text(why + "\n");
    }

    private void text(String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        response.setContentType("text/plain;charset=UTF-8");
        response.setContentLength(bytes.length);
        response.getOutputStream().write(bytes);
    }
}
