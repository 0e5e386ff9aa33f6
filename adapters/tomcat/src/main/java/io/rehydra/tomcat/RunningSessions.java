package io.rehydra.tomcat;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Which sessions requests run with, so that none is dropped under a request that has not touched it yet. By id and not by session object: an
 * install puts another object in its place. Bounded by the requests that run.
 */
final class RunningSessions {

    private final Map<String, Integer> requests = new ConcurrentHashMap<>();

    /** A request of the session begins. Each wants one {@link #leave}. */
    void enter(String app, String id) {
        requests.merge(key(app, id), 1, Integer::sum);
    }

    void leave(String app, String id) {
        requests.computeIfPresent(key(app, id), (key, n) -> n == 1 ? null : n - 1);
    }

    boolean contains(String app, String id) {
        return requests.containsKey(key(app, id));
    }

    private static String key(String app, String id) {
        return app + ' ' + SessionId.base(id);
    }
}
