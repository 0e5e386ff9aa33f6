package io.rehydra.tomcat;

import java.nio.charset.StandardCharsets;

import org.apache.coyote.Response;

/** A field of a response's head, set as bytes, which Tomcat sends as they are: a text it copies three times, and looks at each char. */
final class HeadField {

    private HeadField() {
    }

    /** Sets a field to a text. */
    static void set(Response response, String name, String text) {
        byte[] value = text.getBytes(StandardCharsets.ISO_8859_1);
        for (byte b : value) {
            if (b < ' ' || b == 0x7f) {
                // Tomcat knows what may not stand there.
                response.setHeader(name, text);
                return;
            }
        }
        set(response, name, value);
    }

    /**
     * Sets a field to bytes.
     *
     * @param value visible ASCII; the caller gives it away, since Tomcat may write the value of another field into it later
     */
    static void set(Response response, String name, byte[] value) {
        response.getMimeHeaders().setValue(name).setBytes(value, 0, value.length);
    }
}
