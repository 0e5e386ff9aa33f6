package io.rehydra.tomcat;

import java.util.regex.Pattern;

import org.apache.catalina.Context;
import org.apache.juli.logging.Log;

/** What all requests of one valve share; made when the valve starts, never changed. */
final class Adapter {

    final byte[] token;
    /** Bytes of state that a header may hold, before base64. */
    final int inlineLimit;
    /** Paths whose requests are not looked at, or null. */
    final Pattern ignore;
    final Log log;
    final Internals internals;
    private final Applications applications;
    final EndedSessions ended = new EndedSessions(System::nanoTime);
    final RunningSessions running = new RunningSessions();

    /** Installing and judging one session happens under one of these. */
    private final Object[] locks = new Object[64];

    /**
     * Makes it.
     *
     * @param serialization java, kryo or the name of a class
     * @param kept          the names of attributes that are kept, or null: all
     * @throws IllegalStateException if the serializer cannot be used, or if this is no Tomcat that the adapter knows
     */
    Adapter(byte[] token, int inlineLimit, Pattern ignore, String serialization, Pattern kept, Log log) {
        this.token = token;
        this.inlineLimit = inlineLimit;
        this.ignore = ignore;
        this.log = log;
        this.internals = new Internals();
        LogOnce once = new LogOnce(log);
        // Tried at the start, so that a wrong name is not first heard of with the first session.
        Serializers.of(serialization, log);
        this.applications = new Applications(() -> new SessionCodec(once, internals, Serializers.of(serialization, log), kept));
        for (int i = 0; i < locks.length; i++) {
            locks[i] = new Object();
        }
    }

    Object lock(String app, String id) {
        int hash = app.hashCode() * 31 + SessionId.baseHash(id);
        return locks[Math.floorMod(hash ^ hash >>> 16, locks.length)];
    }

    Application application(Context context) {
        return applications.of(context);
    }

    void stop() {
        applications.clear();
    }
}
