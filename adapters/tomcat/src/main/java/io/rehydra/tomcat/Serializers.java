package io.rehydra.tomcat;

import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

import org.apache.juli.logging.Log;

/** The serializers of one web application: one that writes, and every one that is here to read. */
final class Serializers {

    static final String JAVA = "java";
    static final String KRYO = "kryo";

    private static final String KRYO_CLASS = "io.rehydra.tomcat.kryo.KryoSerializer";
    private static final int KRYO_FORMAT = 2;
    private static final int FIRST_OWN = 64;
    private static final int LAST_OWN = 127;

    private final Serializer java;
    private final Serializer chosen;
    private final Map<Integer, Serializer> byFormat = new TreeMap<>();

    private Serializers(Log log, Serializer chosen, Serializer kryo) {
        this.java = new JavaSerialization(log);
        this.chosen = chosen == null ? java : chosen;
        byFormat.put(java.format(), java);
        if (kryo != null) {
            byFormat.put(kryo.format(), kryo);
        }
        byFormat.put(this.chosen.format(), this.chosen);
    }

    /**
     * Makes them. What Kryo wrote is read also where it is not chosen, if its jar is there: that is how nodes change over one by one.
     *
     * @param name the valve's attribute: java, kryo or the name of a class
     * @throws IllegalStateException if it is none of them, or its class cannot be used
     */
    static Serializers of(String name, Log log) {
        Serializer kryo = null;
        try {
            kryo = make(KRYO_CLASS);
        } catch (ClassNotFoundException e) {
            if (name.equals(KRYO)) {
                throw new IllegalStateException("serialization is \"kryo\", but rehydra-tomcat-kryo-….jar is not beside the adapter's jar in lib", e);
            }
        } catch (ReflectiveOperationException | LinkageError | ClassCastException e) {
            if (name.equals(KRYO)) {
                throw new IllegalStateException("serialization is \"kryo\", but its jar does not fit this adapter: " + e, e);
            }
            log.warn("sessions that Kryo wrote cannot be read here: its jar does not fit this adapter: " + e);
        }
        if (name.equals(JAVA)) {
            return new Serializers(log, null, kryo);
        }
        return new Serializers(log, name.equals(KRYO) ? kryo : own(name), kryo);
    }

    private static Serializer own(String name) {
        Serializer own;
        try {
            own = make(name);
        } catch (ReflectiveOperationException | LinkageError | ClassCastException e) {
            throw new IllegalStateException("serialization is \"" + name + "\", want java, kryo, or the name of a public class in lib that implements "
                    + Serializer.class.getName() + ": " + e, e);
        }
        if (own.format() < FIRST_OWN || own.format() > LAST_OWN) {
            throw new IllegalStateException("serialization is \"" + name + "\", whose format is " + own.format() + ", want " + FIRST_OWN + " to " + LAST_OWN);
        }
        return own;
    }

    private static Serializer make(String className) throws ReflectiveOperationException {
        Class<?> type = Class.forName(className, true, Serializers.class.getClassLoader());
        return (Serializer) type.getConstructor().newInstance();
    }

    /** Writes a value with the chosen serializer, or with Java's where that one leaves it. */
    SerializedValue write(Object value) throws IOException {
        byte[] bytes = chosen.write(value);
        return bytes != null ? new SerializedValue(chosen.format(), bytes) : new SerializedValue(java.format(), java.write(value));
    }

    /** Reads a value with the serializer that wrote it, which must be here: see {@link #check}. */
    Object read(SerializedValue value, ClassLoader loader, Pattern allowed) throws IOException, ClassNotFoundException {
        return byFormat.get(value.format).read(value.bytes, loader, allowed);
    }

    /**
     * Whether everything in this state can be read here.
     *
     * @throws IOException if a serializer that wrote some of it is missing
     */
    void check(SessionState state) throws IOException {
        for (Map.Entry<String, SerializedValue> attribute : state.attributes.entrySet()) {
            int format = attribute.getValue().format;
            if (!byFormat.containsKey(format)) {
                throw new IOException("cannot read session state: attribute \"" + attribute.getKey() + "\" was written by serializer " + format
                        + (format == KRYO_FORMAT ? " (kryo)" : "") + ", here are " + byFormat.keySet());
            }
        }
    }
}
