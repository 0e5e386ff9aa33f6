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
    final SessionCodec codec;
    final EndedSessions ended = new EndedSessions(System::nanoTime);

    /** Installing and judging one session happens under one of these. */
    private final Object[] locks = new Object[64];

    Adapter(byte[] token, int inlineLimit, Pattern ignore, Log log) {
        this.token = token;
        this.inlineLimit = inlineLimit;
        this.ignore = ignore;
        this.log = log;
        this.internals = new Internals();
        this.codec = new SessionCodec(new LogOnce(log), internals);
        for (int i = 0; i < locks.length; i++) {
            locks[i] = new Object();
        }
    }

    Object lock(String app, String id) {
        int hash = app.hashCode() * 31 + SessionId.base(id).hashCode();
        return locks[Math.floorMod(hash ^ hash >>> 16, locks.length)];
    }

    LocalSessions sessions(Context context) {
        return new LocalSessions(context, codec);
    }
}
