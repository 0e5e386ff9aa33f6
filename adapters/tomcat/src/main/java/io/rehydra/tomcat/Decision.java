package io.rehydra.tomcat;

import java.util.List;

/**
 * What happens to a request before the application runs: section 2 of the protocol as a pure function of what the tier
 * said and of what is here.
 */
final class Decision {

    /** A session id of the request and what is known of that session here. */
    static final class Candidate {
        final String id;
        /** The version of the local copy; {@link Version#UNKNOWN} for one that nobody reported yet; null: no local copy. */
        final Version local;
        /** Whether the local copy has exactly this id, the route included. */
        final boolean exact;

        Candidate(String id, Version local, boolean exact) {
            this.id = id;
            this.local = local;
            this.exact = exact;
        }
    }

    /** Install the state that came with the request, for the id that the tier named. */
    final boolean install;
    /** Drop the local copy of the id that the tier named: its session ended elsewhere. */
    final boolean drop;
    /** Answer 428 and name this id; null: run the application. */
    final String need;
    /** The id whose local session the application is to find; null: leave the request's id as it is. */
    final String use;

    private Decision(boolean install, boolean drop, String need, String use) {
        this.install = install;
        this.drop = drop;
        this.need = need;
        this.use = use;
    }

    /**
     * Decides.
     *
     * @param sent       the id that {@code have} and the state speak of, or null
     * @param candidates the ids of the request in Tomcat's order
     * @param route      this backend's own route, empty if it has none
     */
    static Decision of(String sent, Have have, boolean hasState, List<Candidate> candidates, String route) {
        if (sent == null || candidates.isEmpty()) {
            return run(null);
        }
        Candidate first = firstLocal(candidates);
        if (have.kind() == Have.Kind.ASK) {
            return need(first.id);
        }
        if (!SessionId.sameBase(first.id, sent)) {
            return another(sent, have, hasState, candidates, first, route);
        }
        switch (have.kind()) {
            case NONE:
                return run(first.exact ? first.id : null);
            case GONE:
                return new Decision(false, true, null, null);
            case VERSION:
                if (first.local != null && !have.version().isNewerThan(first.local)) {
                    return run(first.id);
                }
                return hasState ? new Decision(true, false, null, first.id) : need(first.id);
            default:
                return ownOrNeed(first, route);
        }
    }

    /** The request uses another session than the one the tier speaks of: do what it says with that one, then judge ours as if it had said nothing. */
    private static Decision another(String sent, Have have, boolean hasState, List<Candidate> candidates, Candidate first,
            String route) {
        if (have.kind() == Have.Kind.VERSION && hasState) {
            Version local = localVersion(sent, candidates);
            boolean newer = local == null || have.version().isNewerThan(local);
            if (first.local == null) {
                return newer ? new Decision(true, false, null, sent) : run(sent);
            }
            Decision rest = ownOrNeed(first, route);
            return new Decision(newer, false, rest.need, rest.use);
        }
        Decision rest = ownOrNeed(first, route);
        return new Decision(false, have.kind() == Have.Kind.GONE, rest.need, rest.use);
    }

    private static Version localVersion(String id, List<Candidate> candidates) {
        for (Candidate c : candidates) {
            if (SessionId.sameBase(c.id, id)) {
                return c.local;
            }
        }
        return null;
    }

    private static Candidate firstLocal(List<Candidate> candidates) {
        for (Candidate c : candidates) {
            if (c.local != null) {
                return c;
            }
        }
        return candidates.get(0);
    }

    /**
     * Without a word of the tier, a local copy is believed only if this backend owns it and its version is known: after a
     * restart Tomcat loads sessions from disk that may have lived on elsewhere.
     */
    private static Decision ownOrNeed(Candidate c, String route) {
        boolean own = c.local != null && !c.local.isUnknown() && SessionId.route(c.id).equals(route);
        return own ? run(c.id) : need(c.id);
    }

    private static Decision run(String use) {
        return new Decision(false, false, null, use);
    }

    private static Decision need(String id) {
        return new Decision(false, false, id, null);
    }
}
