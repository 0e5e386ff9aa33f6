package io.rehydra.tomcat;

import java.util.ArrayList;
import java.util.List;

/**
 * Which sessions requests run with, so that none is dropped under a request that has not touched it yet. By id and not by session object: an
 * install puts another object in its place. Bounded by the requests that run.
 */
final class RunningSessions {

    /** One request that runs. */
    static final class Entry {
        private final String app;
        private final String id;

        private Entry(String app, String id) {
            this.app = app;
            this.id = id;
        }
    }

    /** Lists of a few entries each, by {@link SessionId#baseHash}: no key is made to look them up by. */
    private final List<List<Entry>> lists = new ArrayList<>();

    RunningSessions() {
        for (int i = 0; i < 64; i++) {
            lists.add(new ArrayList<>());
        }
    }

    /**
     * A request of the session begins.
     *
     * @return what {@link #leave} wants, once, when it has ended
     */
    Entry enter(String app, String id) {
        Entry entry = new Entry(app, id);
        List<Entry> list = list(id);
        synchronized (list) {
            list.add(entry);
        }
        return entry;
    }

    void leave(Entry entry) {
        List<Entry> list = list(entry.id);
        synchronized (list) {
            int last = list.size() - 1;
            for (int i = last; i >= 0; i--) {
                if (list.get(i) == entry) {
                    list.set(i, list.get(last));
                    list.remove(last);
                    return;
                }
            }
        }
    }

    boolean contains(String app, String id) {
        List<Entry> list = list(id);
        synchronized (list) {
            for (Entry entry : list) {
                if (entry.app.equals(app) && SessionId.sameBase(entry.id, id)) {
                    return true;
                }
            }
        }
        return false;
    }

    private List<Entry> list(String id) {
        int hash = SessionId.baseHash(id);
        return lists.get((hash ^ hash >>> 6) & 63);
    }
}
