package io.rehydra.tomcat.kryo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.InvalidClassException;
import java.io.Serializable;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.math.BigDecimal;
import java.sql.Timestamp;
import java.math.BigInteger;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.Currency;
import java.util.Date;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.LinkedList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;

import org.junit.jupiter.api.Test;

class KryoSerializerTest {

    private final KryoSerializer kryo = new KryoSerializer();
    private final ClassLoader loader = getClass().getClassLoader();

    private Object copy(Object value) throws IOException {
        byte[] bytes = kryo.write(value);
        assertNotNull(bytes, value.getClass() + " was left to Java serialization");
        assertArrayEquals(bytes, kryo.write(value), "equal values, equal bytes");
        return new KryoSerializer().read(bytes, loader, null);
    }

    @Test
    void bringsBackSimpleValues() throws IOException {
        Map<String, Object> nested = new HashMap<>();
        nested.put("list", new ArrayList<>(Arrays.asList(1, null, "two", 3L)));
        nested.put(null, new TreeSet<>(Arrays.asList("b", "a")));
        for (Object value : Arrays.<Object>asList("text", 1, -1L, (short) 2, (byte) 3, 'c', 1.5f, 2.5, true, new BigDecimal("1.50"),
                new Date(5), new Timestamp(6), new UUID(1, 2), Instant.ofEpochSecond(7, 8), LocalDate.of(2026, 2, 3),
                LocalTime.of(4, 5, 6, 7), LocalDateTime.of(2026, 2, 3, 4, 5), Duration.ofNanos(5), BigInteger.TEN.pow(30),
                OffsetDateTime.of(2026, 2, 3, 4, 5, 6, 7, ZoneOffset.ofHours(8)), URI.create("http://a/b?c"), Currency.getInstance("EUR"),
                ZonedDateTime.of(2026, 2, 3, 4, 5, 6, 7, ZoneId.of("Europe/Berlin")), Collections.emptySet(), Collections.emptyMap(), Shop.Size.SMALL,
                Shop.Size.LARGE, nested, new LinkedList<>(Arrays.asList("x", "x")), new LinkedHashSet<>(Arrays.asList(3, 1, 2)),
                new TreeMap<>(Collections.singletonMap("k", "v")), Collections.emptyList())) {
            Object copy = copy(value);
            assertEquals(value, copy);
            assertSame(value.getClass(), copy.getClass());
        }
        assertArrayEquals(new int[] {1, 2}, (int[]) copy(new int[] {1, 2}));
        assertArrayEquals(new String[] {"a", null}, (String[]) copy(new String[] {"a", null}));
        assertArrayEquals(new Object[] {"a", 1, new Date(1)}, (Object[]) copy(new Object[] {"a", 1, new Date(1)}));
    }

    @Test
    void bringsBackBeansAsJavaDoes() throws IOException {
        Shop.Cart cart = new Shop.Cart();
        cart.add(new Shop.Item("tea", 2, Shop.Size.LARGE));
        cart.add(new Shop.Item("milk", 1, null));
        cart.grid = new Shop.Item[][] {{cart.items.get(0)}, null};
        Shop.Cart copy = (Shop.Cart) copy(cart);
        assertEquals("[2 tea large named tea, 1 milk null named milk]", copy.items.toString());
        assertSame(copy.items.get(0), copy.byName.get("tea"));
        assertSame(copy.items.get(0), copy.grid[0][0]);
        assertSame(copy, copy.items.get(1).cart);
        assertArrayEquals(cart.prices, copy.prices);
        // No constructor ran.
        assertNull(copy.items.get(0).cached);
        Shop.Cart.Inner inner = (Shop.Cart.Inner) copy(cart.new Inner());
        assertEquals(2, inner.outer().items.size());
    }

    @Test
    void leavesTheRestToJava() {
        Comparator<String> lambda = (Comparator<String> & Serializable) (a, b) -> b.compareTo(a);
        InvocationHandler handler = (InvocationHandler & Serializable) (proxy, method, arguments) -> null;
        Object proxy = Proxy.newProxyInstance(loader, new Class<?>[] {Comparable.class, Serializable.class}, handler);
        for (Object value : Arrays.asList(new Shop.Labels(), new Shop.Armed(), new Shop.Outside(), new Shop.Service(), new Shop.HoldsService(),
                new Shop.BelowService(), lambda, proxy, Locale.GERMANY, new LinkedHashMap<>(), new ConcurrentHashMap<>(), EnumSet.of(Shop.Size.SMALL),
                Collections.unmodifiableList(new ArrayList<>()), new TreeMap<>(lambda), String.class)) {
            for (int i = 0; i < 2; i++) {
                assertNull(kryo.write(value), value.getClass().getName());
                assertNull(kryo.write(new ArrayList<>(Arrays.asList("a", value))), "in a list: " + value.getClass().getName());
                assertNull(kryo.write(new Object[] {value}), "in an array: " + value.getClass().getName());
            }
        }
        assertNotNull(kryo.write("still works"));
    }

    @Test
    void honoursTheFilterOfClasses() throws IOException {
        Shop.Cart cart = new Shop.Cart();
        cart.add(new Shop.Item("tea", 2, Shop.Size.SMALL));
        byte[] bytes = kryo.write(cart);
        String shop = "io\\.rehydra\\.tomcat\\.kryo\\.Shop.*|\\[Lio\\.rehydra.*|\\[D|\\[\\[Lio.*";
        assertNotNull(kryo.read(bytes, loader, Pattern.compile(shop + "|java\\.util\\.(ArrayList|HashMap)|java\\.lang\\.Enum")));
        for (String refused : Arrays.asList(shop, shop + "|java\\.util\\.ArrayList", "java\\..*", "io\\.rehydra\\.tomcat\\.kryo\\.Shop\\$Cart|java\\.util\\..*|\\[.*")) {
            assertThrows(InvalidClassException.class, () -> kryo.read(bytes, loader, Pattern.compile(refused)), refused);
        }
        // Numbers and strings have no class name in the bytes.
        assertThrows(InvalidClassException.class, () -> kryo.read(kryo.write(5), loader, Pattern.compile("java\\.lang\\.Long")));
        assertEquals("text", kryo.read(kryo.write("text"), loader, Pattern.compile("none")));
        // The filter of one call is not that of the next.
        assertNotNull(kryo.read(bytes, loader, null));
    }

    /** Bytes that name a class which Kryo does not write are refused, whoever made them. */
    @Test
    void readsNoOtherClasses() throws IOException {
        byte[] bytes = kryo.write(new Shop.Named("x"));
        // The last letter of a name carries a mark, and is the same in all of these.
        int at = indexOf(bytes, "Shop$Name".getBytes("US-ASCII"));
        for (String other : Arrays.asList("Shop$Armed", "Shop$Goned")) {
            byte[] changed = bytes.clone();
            System.arraycopy(other.getBytes("US-ASCII"), 0, changed, at, 9);
            assertThrows(IOException.class, () -> kryo.read(changed, loader, null), other);
        }
    }

    /** A class that another version of the application has with another serialVersionUID is not read as if it were the same. */
    @Test
    void refusesAnotherVersionOfAClass() throws IOException {
        byte[] bytes = kryo.write(new Shop.Named("x"));
        int uid = indexOf(bytes, new byte[] {1, 0, 0, 0, 0, 0, 0, 0});
        bytes[uid]++;
        InvalidClassException e = assertThrows(InvalidClassException.class, () -> kryo.read(bytes, loader, null));
        assertEquals("io.rehydra.tomcat.kryo.Shop$Named", e.classname);
    }

    private static int indexOf(byte[] bytes, byte[] part) {
        for (int i = 0; i + part.length <= bytes.length; i++) {
            if (Arrays.equals(part, Arrays.copyOfRange(bytes, i, i + part.length))) {
                return i;
            }
        }
        throw new AssertionError("not found");
    }

    /** Damaged bytes are read or refused; nothing else is thrown. */
    @Test
    void survivesDamage() throws IOException {
        Shop.Cart cart = new Shop.Cart();
        cart.add(new Shop.Item("tea", 2, Shop.Size.SMALL));
        cart.prices = null;
        byte[] bytes = kryo.write(cart);
        for (int length = 0; length < bytes.length; length++) {
            byte[] cut = Arrays.copyOf(bytes, length);
            assertThrows(IOException.class, () -> kryo.read(cut, loader, null));
        }
        assertThrows(IOException.class, () -> kryo.read(Arrays.copyOf(bytes, bytes.length + 1), loader, null));
        Random random = new Random(1);
        for (int i = 0; i < 500; i++) {
            byte[] damaged = bytes.clone();
            damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
            try {
                kryo.read(damaged, loader, null);
            } catch (IOException e) {
                // Refused.
            }
        }
    }
}
