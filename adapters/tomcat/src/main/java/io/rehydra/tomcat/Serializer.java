package io.rehydra.tomcat;

import java.io.IOException;
import java.util.regex.Pattern;

/**
 * How the values of session attributes become bytes and come back. Java serialisation is built in; another one comes in a jar beside
 * the adapter's and is chosen with the valve's attribute {@code serialization}: {@code kryo}, or the name of a public class with a
 * public constructor without parameters that implements this interface.
 *
 * <p>One instance serves one web application: it is made when the application's first session is seen and dropped when the
 * application stops, so it may keep what belongs to the application's classes. Many threads call it at the same time.
 *
 * <p>Equal values should give equal bytes: bytes that differ count as a change of the session, which is stored anew. Nothing here
 * names the servlet API, so one jar serves Tomcat 7 to 11.
 */
public interface Serializer {

    /**
     * The number that is kept with each value, so that whoever reads it knows who can. 1 is Java serialisation, 2 Kryo; 64 to 127
     * are free for serializers of one's own, the rest is refused.
     */
    int format();

    /**
     * Writes one value of an attribute; it implements {@link java.io.Serializable} and is never null.
     *
     * @return null: this value is left to Java serialisation
     * @throws java.util.ConcurrentModificationException if another thread changed the value meanwhile: it is tried again
     * @throws IOException if it cannot be written at all; the attribute is not kept then, and named once in the log
     */
    byte[] write(Object value) throws IOException;

    /**
     * Reads the bytes of {@link #write}, perhaps those of another node, with an older or newer version of the application.
     *
     * @param loader  the application's classes
     * @param allowed every class in the value must match, as the manager's sessionAttributeValueClassNameFilter has it; null: all may come
     * @throws java.io.InvalidClassException if a class does not match, or is not the one that was written
     * @throws IOException                   if the bytes cannot be read. In either case they are passed on unread to the next
     *                                       node, unless it was {@code allowed} that refused
     */
    Object read(byte[] bytes, ClassLoader loader, Pattern allowed) throws IOException, ClassNotFoundException;
}
