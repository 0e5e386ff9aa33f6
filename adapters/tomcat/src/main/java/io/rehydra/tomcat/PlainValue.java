package io.rehydra.tomcat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectOutputStream;
import java.io.ObjectStreamConstants;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * What {@link ObjectOutputStream} writes of a text or a number, byte for byte, made without such a stream: that one takes 3 KB of
 * buffers for each value, and goes through a text char by char.
 */
final class PlainValue {

    /** The stream's magic and version, and the mark of a text (Java Object Serialization Specification, 6.4). */
    private static final byte[] TEXT = {(byte) (ObjectStreamConstants.STREAM_MAGIC >> 8), (byte) ObjectStreamConstants.STREAM_MAGIC,
        0, ObjectStreamConstants.STREAM_VERSION, ObjectStreamConstants.TC_STRING};

    /** Bytes that a text may take here: its length has two bytes. Longer ones are written in another way. */
    private static final int LONGEST = 0xffff;

    // All that comes before the value itself, which is last.
    private static final byte[] BOOLEAN = before(Boolean.FALSE, 1);
    private static final byte[] INTEGER = before(0, 4);
    private static final byte[] LONG = before(0L, 8);
    private static final byte[] DOUBLE = before(0.0, 8);

    private PlainValue() {
    }

    private static byte[] before(Serializable value, int length) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(value);
        } catch (IOException e) {
            throw new IllegalStateException("cannot write to memory", e);
        }
        return Arrays.copyOf(bytes.toByteArray(), bytes.size() - length);
    }

    /** The bytes of the value, or null if it is none of those that can be written here. */
    static byte[] write(Object value) {
        Class<?> type = value.getClass();
        if (type == String.class) {
            return text((String) value);
        }
        if (type == Integer.class) {
            return number(INTEGER, 4, (Integer) value);
        }
        if (type == Long.class) {
            return number(LONG, 8, (Long) value);
        }
        if (type == Boolean.class) {
            return number(BOOLEAN, 1, (Boolean) value ? 1 : 0);
        }
        return type == Double.class ? number(DOUBLE, 8, Double.doubleToLongBits((Double) value)) : null;
    }

    private static byte[] number(byte[] before, int length, long value) {
        byte[] out = Arrays.copyOf(before, before.length + length);
        for (int i = out.length - 1; i >= before.length; i--) {
            out[i] = (byte) value;
            value >>= 8;
        }
        return out;
    }

    /** Most texts are ASCII, whose bytes are found without a look at each char. */
    @SuppressWarnings("deprecation")
    private static byte[] text(String text) {
        int length = text.length();
        if (length > LONGEST) {
            return null;
        }
        byte[] out = textOf(length);
        int at = out.length - length;
        // The lower half of each char, which is all of it if the text comes back.
        text.getBytes(0, length, out, at);
        boolean ascii = new String(out, at, length, StandardCharsets.US_ASCII).equals(text);
        // What a byte above 0x7f is read as could be the char itself.
        return ascii && text.indexOf(0) < 0 && text.indexOf(0xfffd) < 0 ? out : modified(text);
    }

    /** Room for a text of so many bytes, with what comes before them. */
    private static byte[] textOf(int length) {
        byte[] out = Arrays.copyOf(TEXT, TEXT.length + 2 + length);
        out[TEXT.length] = (byte) (length >> 8);
        out[TEXT.length + 1] = (byte) length;
        return out;
    }

    /** In modified UTF-8, as {@link java.io.DataOutput#writeUTF} describes it. */
    private static byte[] modified(String text) {
        int length = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            length += c > 0 && c < 0x80 ? 1 : c < 0x800 ? 2 : 3;
        }
        if (length > LONGEST) {
            return null;
        }
        byte[] out = textOf(length);
        int at = out.length - length;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c > 0 && c < 0x80) {
                out[at++] = (byte) c;
            } else if (c < 0x800) {
                out[at++] = (byte) (0xc0 | c >> 6);
                out[at++] = (byte) (0x80 | c & 0x3f);
            } else {
                out[at++] = (byte) (0xe0 | c >> 12);
                out[at++] = (byte) (0x80 | c >> 6 & 0x3f);
                out[at++] = (byte) (0x80 | c & 0x3f);
            }
        }
        return out;
    }
}
