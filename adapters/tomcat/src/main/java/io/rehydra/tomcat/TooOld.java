package io.rehydra.tomcat;

import org.apache.catalina.util.ServerInfo;

/**
 * Which Tomcats cannot have the adapter. Until 7.0.52 the end of an asynchronous request writes the head of the response past every hook: what such a
 * request changed would be lost without a word.
 */
final class TooOld {

    private static final int[] OLDEST = {7, 0, 53};

    /** Older ones cannot load the adapter: a number below is none of Tomcat's. */
    private static final int FIRST = 6;

    private TooOld() {
    }

    /**
     * Refuses this Tomcat if it is too old. Its jar says which it is, since the number that it shows may have been changed by its operator, who hides it, say.
     *
     * @throws IllegalStateException if it is too old; the message names it and what is needed
     */
    static void check() {
        Package jar = ServerInfo.class.getPackage();
        String version = jar == null ? null : jar.getImplementationVersion();
        check(ServerInfo.getServerInfo(), version != null ? version : ServerInfo.getServerNumber());
    }

    /**
     * Refuses a Tomcat that is too old. One whose number says nothing passes.
     *
     * @param name   as the server calls itself: {@code Apache Tomcat/7.0.52}
     * @param number {@code 7.0.52} or {@code 7.0.52.0}
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
            if (part < 0 || part > OLDEST[i] || i == 0 && part < FIRST) {
                return;
            }
            if (part < OLDEST[i]) {
                throw new IllegalStateException("this is " + name + " (" + number + "), which is too old: it needs Tomcat 7.0.53, 8.5, 9, 10.1 or 11, or newer");
            }
        }
    }
}
