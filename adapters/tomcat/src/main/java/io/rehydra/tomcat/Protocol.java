package io.rehydra.tomcat;

import java.nio.charset.StandardCharsets;

/** Names and texts of the session protocol, version 1; docs/session-protocol.md describes it. */
final class Protocol {

    /** Every name of a field begins with it. */
    static final String PREFIX = "Rehydra-";

    static final String TIER = "Rehydra-Tier";
    static final String ID = "Rehydra-Id";
    static final String HAVE = "Rehydra-Have";
    static final String STATE = "Rehydra-State";
    static final String OP = "Rehydra-Op";

    static final String ADAPTER = "Rehydra-Adapter";
    static final String ADAPTER_VERSION = "1";
    static final String SESSION = "Rehydra-Session";
    static final String NEED = "Rehydra-Need";

    static final String METHOD = "REPORT";
    static final int PRECONDITION_REQUIRED = 428;

    /** Bytes of state that go into a trailer field; the tier keeps no more by default, and refuses a larger one itself after a read. */
    static final int TRAILER_LIMIT = 1_000_000;

    private Protocol() {
    }

    static String need(String id, String app) {
        return "id=\"" + id + "\"; app=\"" + app + '"';
    }

    /** The name of an app in headers: {@code host/contextPath}, percent-encoded where a quoted parameter needs it. */
    static String app(String host, String contextPath) {
        String name = host + (contextPath.isEmpty() ? "/" : contextPath);
        StringBuilder out = new StringBuilder(name.length());
        for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
            int c = b & 0xff;
            if (c > ' ' && c <= '~' && c != '"' && c != '\\' && c != '%') {
                out.append((char) c);
            } else {
                out.append('%').append(Character.forDigit(c >> 4, 16)).append(Character.forDigit(c & 15, 16));
            }
        }
        return out.toString();
    }
}
