package io.rehydra.tomcat;

/** The value of one attribute as bytes, and which serializer wrote them. */
final class SerializedValue {

    /** {@link Serializer#format} of the writer. */
    final int format;
    final byte[] bytes;

    SerializedValue(int format, byte[] bytes) {
        this.format = format;
        this.bytes = bytes;
    }
}
