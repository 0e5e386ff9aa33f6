package io.rehydra.tomcat;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/** Writes texts, bytes and lists in the format of {@link SessionState} to memory; {@link Wire} reads them. */
final class WireWriter {

    private byte[] bytes;
    private int size;

    /** @param expected how many bytes it will be; if it is right they are written once and not copied */
    WireWriter(int expected) {
        bytes = new byte[expected];
    }

    /** What was written. Nothing may be written any more. */
    byte[] toByteArray() {
        return size == bytes.length ? bytes : Arrays.copyOf(bytes, size);
    }

    private void need(int more) {
        if (more > bytes.length - size) {
            bytes = Arrays.copyOf(bytes, Math.max(Math.addExact(size, more), (int) Math.min(bytes.length * 2L, Integer.MAX_VALUE - 8)));
        }
    }

    void writeByte(int value) {
        need(1);
        bytes[size++] = (byte) value;
    }

    void writeBoolean(boolean value) {
        writeByte(value ? 1 : 0);
    }

    void writeShort(int value) {
        writeByte(value >> 8);
        writeByte(value);
    }

    void writeInt(int value) {
        need(4);
        bytes[size] = (byte) (value >> 24);
        bytes[size + 1] = (byte) (value >> 16);
        bytes[size + 2] = (byte) (value >> 8);
        bytes[size + 3] = (byte) value;
        size += 4;
    }

    void writeLong(long value) {
        writeInt((int) (value >> 32));
        writeInt((int) value);
    }

    /** The length and the bytes; -1 for null. */
    void writeBytes(byte[] value) {
        if (value == null) {
            writeInt(-1);
            return;
        }
        writeInt(value.length);
        need(value.length);
        System.arraycopy(value, 0, bytes, size, value.length);
        size += value.length;
    }

    void writeText(String text) {
        writeBytes(text == null ? null : text.getBytes(StandardCharsets.UTF_8));
    }

    void writeTexts(List<String> texts) {
        writeInt(texts.size());
        for (String text : texts) {
            writeText(text);
        }
    }
}
