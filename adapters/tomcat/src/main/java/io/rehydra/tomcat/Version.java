package io.rehydra.tomcat;

/**
 * The version of a session's state: generation and counter, ordered by generation, then counter. The generation is
 * raised by the tier whenever it installs a session at a backend; the counter by the adapter whenever the state changed.
 */
final class Version implements Comparable<Version> {

    /** Of a local session whose version is not known: loaded from disk, or made without the tier. Older than all others. */
    static final Version UNKNOWN = new Version(0, 0);

    /** The version of a session that is reported for the first time. */
    static final Version FIRST = new Version(1, 1);

    private final long generation;
    private final long counter;

    Version(long generation, long counter) {
        this.generation = generation;
        this.counter = counter;
    }

    /**
     * Reads {@code generation.counter}, two decimal numbers of at most 18 digits.
     *
     * @return the version, or null if the text is anything else
     */
    static Version parse(String text) {
        int dot = text.indexOf('.');
        if (dot < 0) {
            return null;
        }
        long generation = number(text, 0, dot);
        long counter = number(text, dot + 1, text.length());
        return generation < 0 || counter < 0 ? null : new Version(generation, counter);
    }

    private static long number(String text, int from, int to) {
        // 18 digits always fit a long.
        if (from == to || to - from > 18) {
            return -1;
        }
        long n = 0;
        for (int i = from; i < to; i++) {
            char c = text.charAt(i);
            if (c < '0' || c > '9') {
                return -1;
            }
            n = n * 10 + (c - '0');
        }
        return n;
    }

    /** The version after a change: the first one for a session that had none. */
    Version next() {
        return isUnknown() ? FIRST : new Version(generation, counter + 1);
    }

    boolean isUnknown() {
        return generation == 0 && counter == 0;
    }

    boolean isNewerThan(Version other) {
        return compareTo(other) > 0;
    }

    @Override
    public int compareTo(Version other) {
        int byGeneration = Long.compare(generation, other.generation);
        return byGeneration != 0 ? byGeneration : Long.compare(counter, other.counter);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Version && compareTo((Version) other) == 0;
    }

    @Override
    public int hashCode() {
        return Long.hashCode(generation * 31 + counter);
    }

    StringBuilder appendTo(StringBuilder out) {
        return out.append(generation).append('.').append(counter);
    }

    @Override
    public String toString() {
        return appendTo(new StringBuilder()).toString();
    }
}
