package io.rehydra.tomcat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.util.regex.Pattern;

import org.apache.catalina.util.CustomObjectInputStream;
import org.apache.juli.logging.Log;

/** One value to bytes and back, each in a stream of its own, so that one that cannot be read does not take the others with it. */
final class JavaSerialization {

    private JavaSerialization() {
    }

    /** Writes the value; errors are those of {@link ObjectOutputStream#writeObject} and of the value's own methods. */
    static byte[] write(Object value) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(256);
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(value);
        }
        return bytes.toByteArray();
    }

    /**
     * Reads a value with the application's classes.
     *
     * @param allowed every class in the stream must match it, as Tomcat has it for sessions on disk; null: all may come
     * @throws java.io.InvalidClassException if one does not match
     */
    static Object read(byte[] bytes, ClassLoader loader, Log log, Pattern allowed) throws IOException, ClassNotFoundException {
        ByteArrayInputStream in = new ByteArrayInputStream(bytes);
        try (ObjectInputStream objects = new CustomObjectInputStream(in, loader, log, allowed, false)) {
            return objects.readObject();
        }
    }
}
