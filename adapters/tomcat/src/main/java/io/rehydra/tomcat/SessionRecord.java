package io.rehydra.tomcat;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

import org.apache.catalina.Session;
import org.apache.catalina.session.StandardSession;

/**
 * What the adapter knows of one local session: the version that was reported last and what it looked like. It hangs on the
 * session as a note, so it goes when the session goes. Its lock orders the reports of requests that run at the same time.
 */
final class SessionRecord {

    private static final String NOTE = SessionRecord.class.getName();

    private Version version = Version.UNKNOWN;
    /** The tier has been told of the session, though not yet in which version it is. */
    private boolean announced;
    /** SHA-256 of the state in that version; null: nothing was reported yet. */
    private byte[] digest;
    private final Map<String, SerializedValue> carried = new HashMap<>();
    /** Requests that have answered "pull" and still run. */
    private int pulls;

    /** The session's record, made if it has none. */
    static SessionRecord of(Session session) {
        SessionRecord record = peek(session);
        if (record != null) {
            return record;
        }
        synchronized (session) {
            record = peek(session);
            if (record == null) {
                record = new SessionRecord();
                session.setNote(NOTE, record);
            }
            return record;
        }
    }

    private static SessionRecord peek(Session session) {
        return (SessionRecord) session.getNote(NOTE);
    }

    static Version version(Session session) {
        SessionRecord record = peek(session);
        return record == null ? Version.UNKNOWN : record.version();
    }

    /** The version that the tier was told, {@link Version#UNKNOWN} if it was not told of the session at all. */
    synchronized Version version() {
        return announced && version.isUnknown() ? Version.FIRST : version;
    }

    /** A response begins that tells of the session, and the version will follow. */
    synchronized void announce() {
        announced = true;
    }

    /** The session was installed in this version from this state. */
    synchronized void installed(Version installed, byte[] state, Map<String, SerializedValue> unread) {
        version = installed;
        digest = Sha256.of(state);
        carried.putAll(unread);
    }

    /** The session took over the id of one that ended in the same request; its versions go on where the other's stopped. */
    synchronized void follow(Version ended) {
        if (version.isUnknown()) {
            version = ended;
        }
    }

    /**
     * What to tell the tier of the session as it is now. The version goes up if it differs from what was told last.
     *
     * @param was      the id before, where the base changed, else null; the state is told anew then, since it is kept under the id
     * @param accessed whether the application may have touched the session since; if not it is not even written
     * @throws IllegalStateException if the session has ended
     */
    synchronized Report report(StandardSession session, String was, boolean accessed, SessionCodec codec) {
        String id = session.getIdInternal();
        int ttl = session.getMaxInactiveInterval();
        if (!accessed && digest != null && was == null) {
            return Report.of(Report.Kind.SAME, id, null, version, ttl);
        }
        byte[] state = capture(session, codec);
        byte[] now = Sha256.of(state);
        if (was == null && Arrays.equals(now, digest)) {
            return Report.of(Report.Kind.SAME, id, null, version, ttl);
        }
        version = version.next();
        digest = now;
        return Report.changed(id, was, version, ttl, state);
    }

    /** As {@link #report}, but the state comes with it also if it is the one that was told last. */
    synchronized Report read(StandardSession session, SessionCodec codec) {
        byte[] state = capture(session, codec);
        byte[] now = Sha256.of(state);
        if (!Arrays.equals(now, digest)) {
            version = version.next();
            digest = now;
        }
        return Report.changed(session.getIdInternal(), null, version, session.getMaxInactiveInterval(), state);
    }

    private byte[] capture(StandardSession session, SessionCodec codec) {
        return codec.capture(session, carried).encode();
    }

    synchronized void pullBegins() {
        pulls++;
    }

    synchronized void pullEnds() {
        if (pulls > 0) {
            pulls--;
        }
        notifyAll();
    }

    /**
     * Waits until no request that answered "pull" runs any more. One that runs longer than that is no longer waited for, now or later.
     *
     * @param millis at most that long
     */
    synchronized void awaitPulls(long millis) throws InterruptedException {
        long end = System.nanoTime() + millis * 1_000_000;
        while (pulls > 0) {
            long left = (end - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                pulls = 0;
                return;
            }
            wait(left);
        }
    }
}
