package io.rehydra.tomcat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.util.regex.Pattern;

import org.apache.catalina.util.CustomObjectInputStream;
import org.apache.juli.logging.Log;

/** One value to bytes and back, each in a stream of its own, so that one that cannot be read does not take the others with it. */
final class JavaSerialization implements Serializer {

    static final int FORMAT = 1;

    /** Whether Tomcat's stream takes a pattern, as ManagerBase does: not in early 7.0. */
    private static final boolean CHECKS_CLASSES = checksClasses();

    private final Log log;

    JavaSerialization(Log log) {
        this.log = log;
    }

    @Override
    public int format() {
        return FORMAT;
    }

    /** Writes the value; errors are those of {@link ObjectOutputStream#writeObject} and of the value's own methods. */
    @Override
    public byte[] write(Object value) throws IOException {
        byte[] plain = PlainValue.write(value);
        if (plain != null) {
            return plain;
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(256);
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(value);
        }
        return bytes.toByteArray();
    }

    /** Reads a value. Every class in the stream must match {@code allowed}, as Tomcat has it for sessions on disk. */
    @Override
    public Object read(byte[] bytes, ClassLoader loader, Pattern allowed) throws IOException, ClassNotFoundException {
        ByteArrayInputStream in = new ByteArrayInputStream(bytes);
        try (ObjectInputStream objects = stream(in, loader, allowed)) {
            return objects.readObject();
        }
    }

    private ObjectInputStream stream(ByteArrayInputStream in, ClassLoader loader, Pattern allowed) throws IOException {
        if (CHECKS_CLASSES) {
            return new CustomObjectInputStream(in, loader, log, allowed, false);
        }
        if (allowed != null) {
            throw new IOException("this Tomcat cannot check the classes in a value");
        }
        return new CustomObjectInputStream(in, loader);
    }

    private static boolean checksClasses() {
        try {
            CustomObjectInputStream.class.getConstructor(InputStream.class, ClassLoader.class, Log.class, Pattern.class, boolean.class);
            return true;
        } catch (NoSuchMethodException e) {
            return false;
        }
    }
}
