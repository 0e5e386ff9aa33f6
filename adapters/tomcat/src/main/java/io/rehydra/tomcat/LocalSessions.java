package io.rehydra.tomcat;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;

import org.apache.catalina.Container;
import org.apache.catalina.Context;
import org.apache.catalina.Engine;
import org.apache.catalina.Manager;
import org.apache.catalina.Session;
import org.apache.catalina.session.StandardSession;

/** The sessions of one web application in this Tomcat, found by base id. */
final class LocalSessions {

    private final Context context;
    private final Manager manager;
    private final String route;
    private final SessionCodec codec;

    LocalSessions(Context context, SessionCodec codec) {
        this.context = context;
        this.manager = context.getManager();
        this.route = route(context);
        this.codec = codec;
    }

    private static String route(Container container) {
        while (container != null && !(container instanceof Engine)) {
            container = container.getParent();
        }
        String jvmRoute = container == null ? null : ((Engine) container).getJvmRoute();
        return jvmRoute == null ? "" : jvmRoute;
    }

    /** This Tomcat's jvmRoute, empty if it has none. */
    String route() {
        return route;
    }

    Session[] all() {
        return manager.findSessions();
    }

    /**
     * The local session with the base of this id, under our route or under exactly this id.
     *
     * @return null if there is none, or it has expired
     */
    StandardSession find(String id) throws IOException {
        String ownId = SessionId.withRoute(id, route);
        Session session = manager.findSession(ownId);
        if (session == null && !ownId.equals(id)) {
            session = manager.findSession(id);
        }
        return session instanceof StandardSession && session.isValid() ? (StandardSession) session : null;
    }

    /** Takes the session out of the manager without an event. Requests that have touched it keep it until they end. */
    void drop(String id) throws IOException {
        StandardSession session = find(id);
        if (session != null) {
            manager.remove(session, false);
        }
    }

    /**
     * Installs a copy, in place of an older local one, under the base of the id and our own route.
     *
     * @return false if a version as new or newer is here already
     * @throws IOException if the state cannot be read; nothing has changed then
     */
    boolean install(String id, Version version, byte[] bytes) throws IOException {
        StandardSession old = find(id);
        if (old != null && !version.isNewerThan(SessionRecord.version(old))) {
            return false;
        }
        SessionState state = codec.decode(bytes);
        String ownId = SessionId.withRoute(id, route);
        StandardSession session = (StandardSession) manager.createEmptySession();
        ClassLoader loader = context.getLoader().getClassLoader();
        ClassLoader before = Thread.currentThread().getContextClassLoader();
        Thread.currentThread().setContextClassLoader(loader);
        try {
            Map<String, SerializedValue> unread = new HashMap<>();
            codec.restore(state, session, ownId, loader, unread);
            SessionRecord.of(session).installed(version, bytes, unread);
            if (old != null) {
                manager.remove(old, false);
            }
            // Adds it to the manager. No sessionCreated: the session is not new, only new here.
            session.setId(ownId, false);
            session.activate();
        } finally {
            Thread.currentThread().setContextClassLoader(before);
        }
        return true;
    }

    /** Whether this manager's sessions can be kept. */
    boolean isUsable() {
        return manager != null;
    }
}
