package io.rehydra.tomcat;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;
import java.util.TreeMap;

import org.apache.catalina.authenticator.SavedRequest;
import org.apache.tomcat.util.buf.ByteChunk;
import org.junit.jupiter.api.Test;

class SessionStateTest {

    private static SessionState example() {
        return example(JavaSerialization.FORMAT);
    }

    private static SessionState example(int format) {
        SavedRequest saved = new SavedRequest();
        saved.setMethod("POST");
        saved.setRequestURI("/shop/päge");
        saved.setContentType("text/plain");
        ByteChunk body = new ByteChunk();
        body.setBytes(new byte[] {9, 1, 2, 3, 9}, 1, 3);
        saved.setBody(body);
        saved.addHeader("Accept", "a");
        saved.addHeader("Accept", "b");
        saved.addCookie(new javax.servlet.http.Cookie("c", "d"));
        saved.addLocale(Locale.CANADA_FRENCH);
        FormRequest form = FormRequest.of(saved, new Internals());
        Login login = new Login("FORM", "alice", Arrays.asList("customer", "admin"), null, true, form);
        TreeMap<String, SerializedValue> attributes = new TreeMap<>();
        attributes.put("b", new SerializedValue(format, new byte[] {1, 2}));
        attributes.put("a\u0000ü", new SerializedValue(JavaSerialization.FORMAT, new byte[0]));
        return new SessionState(1234567890123L, -1, login, attributes);
    }

    @Test
    void readsWhatItWrites() throws IOException {
        byte[] bytes = example().encode();
        SessionState read = SessionState.decode(bytes);
        assertEquals(1234567890123L, read.creationTime);
        assertEquals(-1, read.maxInactiveInterval);
        assertEquals("FORM", read.login.authType);
        assertEquals("alice", read.login.name);
        assertEquals(Arrays.asList("customer", "admin"), read.login.roles);
        assertEquals(Arrays.asList("a\u0000ü", "b"), Arrays.asList(read.attributes.keySet().toArray()));
        assertArrayEquals(bytes, read.encode());
    }

    @Test
    void restoresTheSavedRequest() throws IOException {
        SavedRequest saved = SessionState.decode(example().encode()).login.formRequest.toSavedRequest(new Internals());
        assertEquals("POST", saved.getMethod());
        assertEquals("/shop/päge", saved.getRequestURI());
        assertEquals(null, saved.getQueryString());
        assertEquals(3, saved.getBody().getLength());
        assertEquals("d", saved.getCookies().next().getValue());
        assertEquals(Locale.CANADA_FRENCH, saved.getLocales().next());
        java.util.Iterator<String> accept = saved.getHeaderValues("Accept");
        assertEquals("a", accept.next());
        assertEquals("b", accept.next());
    }

    /** A value that Java serialisation did not write says so, and the state is of another format. */
    @Test
    void tellsWhoWroteAValue() throws IOException {
        byte[] bytes = example(2).encode();
        assertEquals(2, bytes[2]);
        SessionState read = SessionState.decode(bytes);
        assertEquals(2, read.attributes.get("b").format);
        assertEquals(1, read.attributes.get("a\u0000ü").format);
        assertArrayEquals(bytes, read.encode());
        assertEquals(1, example(1).encode()[2]);
    }

    /** The layout is what other nodes hold: a change of it needs a new format number. */
    @Test
    void keepsItsLayout() {
        Login nobody = new Login(null, null, null, null, false, null);
        byte[] bytes = new SessionState(1, 1800, nobody, new TreeMap<>()).encode();
        assertArrayEquals(new byte[] {'R', 'T', 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 7, 8, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0}, bytes);
    }

    @Test
    void refusesWhatIsCutOrTooLong() {
        byte[] bytes = example().encode();
        for (int length = 0; length < bytes.length; length++) {
            byte[] cut = Arrays.copyOf(bytes, length);
            assertThrows(IOException.class, () -> SessionState.decode(cut));
        }
        assertThrows(IOException.class, () -> SessionState.decode(Arrays.copyOf(bytes, bytes.length + 1)));
    }

    /** Damaged bytes are read or refused; they never cost memory beyond their own size or throw anything else. */
    @Test
    void survivesDamage() {
        damage(example(1).encode());
        damage(example(2).encode());
    }

    private static void damage(byte[] bytes) {
        Random random = new Random(1);
        for (int i = 0; i < 20_000; i++) {
            byte[] damaged = bytes.clone();
            for (int n = 1 + random.nextInt(4); n > 0; n--) {
                damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
            }
            try {
                SessionState.decode(damaged);
            } catch (IOException e) {
                // Refused.
            }
        }
    }
}
