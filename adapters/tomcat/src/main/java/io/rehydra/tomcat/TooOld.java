package io.rehydra.tomcat;

/**
 * Which Tomcats cannot have the adapter. Until 7.0.52 the end of an asynchronous request writes the head of the response past every hook: what such a
 * request changed would be lost without a word.
 */
final class TooOld {

    private static final int[] OLDEST = {7, 0, 53};

    private TooOld() {
    }

    /**
     * Refuses a Tomcat that is too old. One whose number was hidden by its operator passes.
     *
     * @param name   as the server calls itself: {@code Apache Tomcat/7.0.52}
     * @param number {@code 7.0.52.0}
     * @throws IllegalStateException if it is too old; the message names it and what is needed
     */
    static void check(String name, String number) {
        String[] parts = number.split("\\.");
        for (int i = 0; i < OLDEST.length; i++) {
            int part;
            try {
                part = i < parts.length ? Integer.parseInt(parts[i]) : -1;
            } catch (NumberFormatException e) {
                return;
            }
            if (part < 0 || part > OLDEST[i]) {
                return;
            }
            if (part < OLDEST[i]) {
                throw new IllegalStateException("this is " + name + " (" + number + "), which is too old: it needs Tomcat 7.0.53, 8.5, 9, 10.1 or 11, or newer");
            }
        }
    }
}
