package io.rehydra.tomcat;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongSupplier;

/**
 * Remembers for a minute which sessions ended, so that a read that follows a response which could not say so any more is
 * answered "gone" and not "unknown".
 */
final class EndedSessions {

    private static final long MINUTE = 60_000_000_000L;
    private static final int LIMIT = 10_000;

    private final LongSupplier nanoTime;
    private final Map<String, Long> ends = new LinkedHashMap<>();

    EndedSessions(LongSupplier nanoTime) {
        this.nanoTime = nanoTime;
    }

    synchronized void add(String app, String id) {
        String key = key(app, id);
        // Removed first, so that the order of the map stays the order of the ends.
        ends.remove(key);
        if (ends.size() >= LIMIT) {
            ends.remove(ends.keySet().iterator().next());
        }
        ends.put(key, nanoTime.getAsLong());
    }

    synchronized boolean contains(String app, String id) {
        long now = nanoTime.getAsLong();
        ends.values().removeIf(end -> now - end > MINUTE);
        return ends.containsKey(key(app, id));
    }

    private static String key(String app, String id) {
        return app + ' ' + SessionId.base(id);
    }
}
