package io.rehydra.tomcat;

/** What the tier says it knows of a session: the request field Rehydra-Have. */
final class Have {

    /** The kinds of answer; {@link #VERSION} comes with a version. */
    enum Kind {
        ABSENT, NONE, GONE, ASK, VERSION
    }

    private final Kind kind;
    private final Version version;

    private Have(Kind kind, Version version) {
        this.kind = kind;
        this.version = version;
    }

    /**
     * Reads the field.
     *
     * @param text the field's value, or null where there is none
     * @return null if the text is none of the values that the protocol knows
     */
    static Have parse(String text) {
        if (text == null) {
            return new Have(Kind.ABSENT, null);
        }
        switch (text) {
            case "none":
                return new Have(Kind.NONE, null);
            case "gone":
                return new Have(Kind.GONE, null);
            case "ask":
                return new Have(Kind.ASK, null);
            default:
                Version version = Version.parse(text);
                return version == null ? null : new Have(Kind.VERSION, version);
        }
    }

    Kind kind() {
        return kind;
    }

    /** The version, or null for every kind but {@link Kind#VERSION}. */
    Version version() {
        return version;
    }
}
