package io.rehydra.tomcat;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectOutputStream;
import java.util.Arrays;
import java.util.Date;
import java.util.Random;

import org.junit.jupiter.api.Test;

/** The yardstick is Java's own stream: other nodes, with older valves, read what is written here, and the other way round. */
class PlainValueTest {

    private static byte[] stream(Object value) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(value);
        }
        return bytes.toByteArray();
    }

    private static String repeat(String text, int times) {
        return new String(new char[times]).replace("\0", text);
    }

    @Test
    void writesWhatAStreamWrites() throws IOException {
        Object[] values = {"", "a", "what?", "\0", "a\0b", "\u007f", "\u0080", "caf\u00e9", "\u07ff", "\u0800", "\uffff", "\ud83d\ude00", "\ud83d", "\ude00?",
            "?\ud83d", repeat("x", 1024), repeat("x?", 32767), repeat("x", 65535), repeat("\u00e9", 32767), repeat("\0", 32767), repeat("\uffff", 21845),
            true, false, 0, 1, -1, Integer.MAX_VALUE, Integer.MIN_VALUE, 0L, -1L, Long.MAX_VALUE, Long.MIN_VALUE, 0.0, -0.0, 1.5, Double.NaN,
            Double.longBitsToDouble(0x7ff8000000000001L), Double.NEGATIVE_INFINITY};
        for (Object value : values) {
            assertArrayEquals(stream(value), PlainValue.write(value), () -> value.getClass() + " " + value);
        }
    }

    @Test
    void writesAnyText() throws IOException {
        Random random = new Random(1);
        String[] alphabets = {"ab?", "ab?\0", "a\u00e9?", "a?\ud83d\ude00\u4e00\u0080\u0800\0"};
        for (int i = 0; i < 20_000; i++) {
            String alphabet = alphabets[random.nextInt(alphabets.length)];
            char[] chars = new char[random.nextInt(20)];
            for (int k = 0; k < chars.length; k++) {
                chars[k] = alphabet.charAt(random.nextInt(alphabet.length()));
            }
            String text = new String(chars);
            assertArrayEquals(stream(text), PlainValue.write(text), () -> Arrays.toString(chars));
        }
    }

    /** Each of Java's chars alone and among others: U+FFFD is what a decoder makes of a byte that it does not know. */
    @Test
    void writesEveryChar() throws IOException {
        for (int c = 0; c <= Character.MAX_VALUE; c++) {
            for (String text : new String[] {"" + (char) c, "a" + (char) c + "?", "\u00e9" + (char) c}) {
                assertArrayEquals(stream(text), PlainValue.write(text), () -> Integer.toHexString(text.charAt(0)) + " in " + text);
            }
        }
    }

    /** What it leaves goes through a stream, so that {@link JavaSerialization} writes all alike. */
    @Test
    void leavesTheRest() throws IOException {
        Object[] values = {repeat("x", 65536), repeat("\u00e9", 32768), repeat("\uffff", 21846), 'c', (byte) 1, (short) 1, 1f, new Date(0), new int[] {1}};
        for (Object value : values) {
            assertNull(PlainValue.write(value), value.getClass().getName());
            assertArrayEquals(stream(value), new JavaSerialization(null).write(value));
        }
    }
}
