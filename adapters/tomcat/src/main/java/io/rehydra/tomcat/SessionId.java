package io.rehydra.tomcat;

/**
 * The two parts of a session id: {@code base.route}, parted at the first dot, as mod_jk and Tomcat read it. A session is
 * known by its base; the route only says which backend made or restored it last.
 */
final class SessionId {

    private SessionId() {
    }

    static String base(String id) {
        return id.substring(0, baseEnd(id));
    }

    /** The route, or the empty string if the id has none. */
    static String route(String id) {
        int dot = id.indexOf('.');
        return dot < 0 ? "" : id.substring(dot + 1);
    }

    static String join(String base, String route) {
        return route.isEmpty() ? base : base + '.' + route;
    }

    /** The id under another route; the same text where it has that route already. */
    static String withRoute(String id, String route) {
        int begin = id.indexOf('.') + 1;
        boolean same = begin > 0 && !route.isEmpty() && id.length() == begin + route.length() && id.endsWith(route);
        return same ? id : join(base(id), route);
    }

    static boolean sameBase(String a, String b) {
        int end = baseEnd(a);
        return end == baseEnd(b) && a.regionMatches(0, b, 0, end);
    }

    /** A number that all ids of one base have in common, of the base's length and its last chars: ids are made to differ there. */
    static int baseHash(String id) {
        int end = baseEnd(id);
        int hash = end;
        for (int i = Math.max(0, end - 4); i < end; i++) {
            hash = hash * 31 + id.charAt(i);
        }
        return hash;
    }

    /** Where the base ends. */
    static int baseEnd(String id) {
        int dot = id.indexOf('.');
        return dot < 0 ? id.length() : dot;
    }

    /** Whether the id may stand in a quoted header parameter: 1 to 250 visible ASCII characters, no quote, no backslash. */
    static boolean isSafe(String id) {
        if (id == null || id.isEmpty() || id.length() > 250 || id.charAt(0) == '.') {
            return false;
        }
        for (int i = 0; i < id.length(); i++) {
            char c = id.charAt(i);
            if (c <= ' ' || c > '~' || c == '"' || c == '\\') {
                return false;
            }
        }
        return true;
    }
}
