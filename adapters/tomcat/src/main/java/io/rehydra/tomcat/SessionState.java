package io.rehydra.tomcat;

import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The bytes of one session as the tier keeps them, and what they hold. Big-endian; a text is its length in UTF-8 bytes (int, -1 for
 * null) and those bytes; a list is its length (int) and its items.
 *
 * <pre>
 * 'R' 'T'              magic
 * byte                 format: 1, or 2 where not all values are written by Java serialisation
 * long                 creation time, milliseconds since 1970
 * int                  max inactive interval, seconds
 * Login                see there
 * list of attributes   in the order of the names: name (text), in format 2 the serializer's number (byte, see {@link Serializer#format}),
 *                      value (int length, bytes)
 * </pre>
 *
 * Times of access are left out on purpose: they would make every request a change, and an installed session begins a new
 * interval anyway. The order of names makes equal contents equal bytes.
 */
final class SessionState {

    private static final int MAGIC = ('R' << 8) | 'T';
    private static final int FORMAT = 1;
    private static final int FORMAT_MIXED = 2;

    final long creationTime;
    final int maxInactiveInterval;
    final Login login;
    /** By name. */
    final SortedMap<String, SerializedValue> attributes;

    SessionState(long creationTime, int maxInactiveInterval, Login login, SortedMap<String, SerializedValue> attributes) {
        this.creationTime = creationTime;
        this.maxInactiveInterval = maxInactiveInterval;
        this.login = login;
        this.attributes = attributes;
    }

    byte[] encode() {
        boolean mixed = isMixed();
        WireWriter out = new WireWriter(expectedLength(mixed));
        out.writeShort(MAGIC);
        out.writeByte(mixed ? FORMAT_MIXED : FORMAT);
        out.writeLong(creationTime);
        out.writeInt(maxInactiveInterval);
        login.write(out);
        out.writeInt(attributes.size());
        for (Map.Entry<String, SerializedValue> attribute : attributes.entrySet()) {
            out.writeText(attribute.getKey());
            if (mixed) {
                out.writeByte(attribute.getValue().format);
            }
            out.writeBytes(attribute.getValue().bytes);
        }
        return out.toByteArray();
    }

    /** Right where nobody is logged in and all names are ASCII. */
    private int expectedLength(boolean mixed) {
        long length = 2 + 1 + 8 + 4 + Login.NOBODYS_LENGTH + 4;
        for (Map.Entry<String, SerializedValue> attribute : attributes.entrySet()) {
            length += (mixed ? 9 : 8) + attribute.getKey().length() + attribute.getValue().bytes.length;
        }
        return (int) Math.min(length, Integer.MAX_VALUE - 8);
    }

    private boolean isMixed() {
        for (SerializedValue value : attributes.values()) {
            if (value.format != JavaSerialization.FORMAT) {
                return true;
            }
        }
        return false;
    }

    /**
     * Reads the bytes of {@link #encode}.
     *
     * @throws IOException if they are of another format, cut short, or followed by anything
     */
    static SessionState decode(byte[] bytes) throws IOException {
        DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes));
        try {
            if (in.readUnsignedShort() != MAGIC) {
                throw new IOException("cannot read session state: it does not begin with RT");
            }
            int format = in.readUnsignedByte();
            if (format != FORMAT && format != FORMAT_MIXED) {
                throw new IOException("cannot read session state: format " + format + ", want " + FORMAT + " or " + FORMAT_MIXED);
            }
            long creationTime = in.readLong();
            int maxInactiveInterval = in.readInt();
            Login login = Login.read(in);
            SortedMap<String, SerializedValue> attributes = readAttributes(in, format == FORMAT_MIXED);
            if (in.available() > 0) {
                throw new IOException("cannot read session state: " + in.available() + " bytes too many");
            }
            return new SessionState(creationTime, maxInactiveInterval, login, attributes);
        } catch (EOFException e) {
            throw new IOException("cannot read session state: it ends after " + bytes.length + " bytes, too early", e);
        }
    }

    private static SortedMap<String, SerializedValue> readAttributes(DataInputStream in, boolean mixed) throws IOException {
        SortedMap<String, SerializedValue> attributes = new TreeMap<>();
        int count = Wire.readCount(in);
        for (int i = 0; i < count; i++) {
            String name = Wire.readText(in);
            int format = mixed ? in.readUnsignedByte() : JavaSerialization.FORMAT;
            byte[] value = Wire.readBytes(in);
            if (name == null || value == null) {
                throw new IOException("cannot read session state: attribute " + i + " has no name or no value");
            }
            attributes.put(name, new SerializedValue(format, value));
        }
        return attributes;
    }
}
