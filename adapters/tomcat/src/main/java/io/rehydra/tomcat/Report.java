package io.rehydra.tomcat;

import java.nio.charset.StandardCharsets;
import java.util.Base64;

/** What a response says about its session: the fields Rehydra-Session and, with the state inline, Rehydra-State. */
final class Report {

    /** The values of the parameter {@code state}. */
    enum Kind {
        INLINE, SAME, GONE, LATE, PULL;

        private final String text = name().toLowerCase(java.util.Locale.ROOT);
    }

    private static final Base64.Encoder BASE64 = Base64.getUrlEncoder().withoutPadding();

    private final Kind kind;
    private final String id;
    private final String was;
    private final Version version;
    private final int ttl;
    private final byte[] state;

    private Report(Kind kind, String id, String was, Version version, int ttl, byte[] state) {
        this.kind = kind;
        this.id = id;
        this.was = was;
        this.version = version;
        this.ttl = ttl;
        this.state = state;
    }

    /**
     * A report without a state.
     *
     * @param was the id before the request, where the base changed, else null
     * @param ttl seconds of inactivity that the session lives for; 0 or less: no limit
     */
    static Report of(Kind kind, String id, String was, Version version, int ttl) {
        return new Report(kind, id, was, version.isUnknown() ? Version.FIRST : version, ttl, null);
    }

    static Report changed(String id, String was, Version version, int ttl, byte[] state) {
        return new Report(Kind.INLINE, id, was, version, ttl, state);
    }

    Kind kind() {
        return kind;
    }

    /** The new state in bytes, or null where this report brings none. */
    byte[] state() {
        return state;
    }

    /** The same session and version, but with another word on where the state is. */
    Report as(Kind other) {
        return new Report(other, id, was, version, ttl, null);
    }

    String header(String app) {
        StringBuilder out = new StringBuilder(128).append("id=\"").append(id).append('"');
        if (was != null) {
            out.append("; was=\"").append(was).append('"');
        }
        version.appendTo(out.append("; app=\"").append(app).append("\"; version="));
        return out.append("; ttl=").append(ttl).append("; state=").append(kind.text).toString();
    }

    /** The value of Rehydra-State in ASCII. */
    byte[] stateField() {
        return BASE64.encode(state);
    }

    /** As {@link #stateField}, where Tomcat wants a text. */
    String stateText() {
        return new String(stateField(), StandardCharsets.ISO_8859_1);
    }
}
