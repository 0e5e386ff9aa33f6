package io.rehydra.tomcat;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.TreeMap;
import java.util.regex.Pattern;

import org.apache.catalina.Lifecycle;
import org.apache.catalina.LifecycleEvent;
import org.apache.catalina.core.StandardContext;
import org.apache.juli.logging.Log;
import org.apache.juli.logging.LogFactory;
import org.junit.jupiter.api.Test;

class SerializersTest {

    private static final Log LOG = LogFactory.getLog(SerializersTest.class);

    /** Writes texts, and leaves the rest to Java. */
    public static class Texts implements Serializer {
        @Override
        public int format() {
            return 64;
        }

        @Override
        public byte[] write(Object value) {
            return value instanceof String ? ((String) value).getBytes(StandardCharsets.UTF_8) : null;
        }

        @Override
        public Object read(byte[] bytes, ClassLoader loader, Pattern allowed) {
            return new String(bytes, StandardCharsets.UTF_8);
        }
    }

    /** Takes Kryo's number. */
    public static final class Thief extends Texts {
        @Override
        public int format() {
            return 2;
        }
    }

    private static SessionState state(SerializedValue value) {
        TreeMap<String, SerializedValue> attributes = new TreeMap<>();
        attributes.put("a", value);
        return new SessionState(1, 1800, new Login(null, null, null, null, false, null), attributes);
    }

    @Test
    void writesWithTheChosenOneAndReadsBoth() throws Exception {
        Serializers own = Serializers.of(Texts.class.getName(), LOG);
        SerializedValue text = own.write("é");
        assertEquals(64, text.format);
        assertArrayEquals("é".getBytes(StandardCharsets.UTF_8), text.bytes);
        SerializedValue number = own.write(5);
        assertEquals(1, number.format);
        ClassLoader loader = getClass().getClassLoader();
        assertEquals("é", own.read(text, loader, null));
        assertEquals(5, own.read(number, loader, null));
        own.check(state(text));
        own.check(state(number));
    }

    @Test
    void refusesAStateOfASerializerThatIsNotHere() throws IOException {
        Serializers java = Serializers.of("java", LOG);
        java.check(state(java.write("x")));
        IOException e = assertThrows(IOException.class, () -> java.check(state(new SerializedValue(64, new byte[1]))));
        assertTrue(e.getMessage().contains("\"a\" was written by serializer 64, here are [1]"), e.getMessage());
        e = assertThrows(IOException.class, () -> java.check(state(new SerializedValue(2, new byte[1]))));
        assertTrue(e.getMessage().contains("serializer 2 (kryo)"), e.getMessage());
    }

    @Test
    void saysWhatIsWrongWithAName() {
        for (String[] wrong : new String[][] {{"kryo", "rehydra-tomcat-kryo"}, {"kyro", "want java, kryo, or"}, {"java.lang.String", "want java, kryo, or"},
            {Thief.class.getName(), "64 to 127"}, {"", "want java, kryo, or"}}) {
            IllegalStateException e = assertThrows(IllegalStateException.class, () -> Serializers.of(wrong[0], LOG));
            assertTrue(e.getMessage().startsWith("serialization is \"" + wrong[0] + '"') && e.getMessage().contains(wrong[1]), e.getMessage());
        }
    }

    @Test
    void aCodecGoesWithItsApplication() {
        Applications applications = new Applications(() -> new SessionCodec(new LogOnce(LOG), new Internals(), Serializers.of("java", LOG), null));
        StandardContext context = new StandardContext();
        StandardContext other = new StandardContext();
        SessionCodec codec = applications.of(context).codec;
        assertSame(codec, applications.of(context).codec);
        assertNotSame(codec, applications.of(other).codec);
        assertEquals(1, context.findLifecycleListeners().length);
        applications.lifecycleEvent(new LifecycleEvent(context, Lifecycle.AFTER_STOP_EVENT, null));
        assertEquals(0, context.findLifecycleListeners().length);
        assertNotSame(codec, applications.of(context).codec);
        applications.clear();
        assertEquals(0, context.findLifecycleListeners().length + other.findLifecycleListeners().length);
    }

    @Test
    void keepsTheNamesThatMatch() {
        AttributeFilter filter = AttributeFilter.of(Pattern.compile("cart|user.*"), null, null);
        assertTrue(filter.allowsName("cart") && filter.allowsName("username"));
        assertTrue(!filter.allowsName("my cart") && !filter.allowsName("carts"));
        assertTrue(AttributeFilter.of(null, null, null).allowsName("anything"));
    }
}
