package io.rehydra.tomcat;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Which sessions requests run with, so that none is dropped under a request that has not touched it yet. By id and not by session object: an
 * install puts another object in its place. Bounded by the requests that run.
 */
final class RunningSessions {

    private final Map<String, Integer> requests = new ConcurrentHashMap<>();

    /**
     * A request of the session begins.
     *
     * @return what {@link #leave} wants, once, when it has ended
     */
    String enter(String app, String id) {
        String key = key(app, id);
        requests.merge(key, 1, Integer::sum);
        return key;
    }

    void leave(String entered) {
        requests.computeIfPresent(entered, (key, n) -> n == 1 ? null : n - 1);
    }

    boolean contains(String app, String id) {
        return requests.containsKey(key(app, id));
    }

    private static String key(String app, String id) {
        return app + ' ' + SessionId.base(id);
    }
}
