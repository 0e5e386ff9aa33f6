package io.rehydra.tomcat.kryo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.ConcurrentModificationException;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.LinkedList;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;

import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.Serializer;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;
import com.esotericsoftware.kryo.util.Generics;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What another thread may do to a container while Kryo writes it, at the worst moments. */
class ContainersTest {

    /** Of each class one that holds 1, 2 and 3. */
    static Stream<Object> containers() {
        Collection<Integer> elements = Arrays.asList(1, 2, 3);
        Map<Integer, Integer> map = new HashMap<>();
        elements.forEach(n -> map.put(n, n));
        return Stream.of(new ArrayList<>(elements), new LinkedList<>(elements), new HashSet<>(elements), new LinkedHashSet<>(elements),
                new TreeSet<>(elements), map, new TreeMap<>(map));
    }

    /** An element that is there between the writing of the size and the end, and neither before nor after. */
    @ParameterizedTest
    @MethodSource("containers")
    void anElementThatComesAndGoesDoesNoHarm(Object container) {
        Disturbed kryo = new Disturbed();
        Output out = new Output(512);
        kryo.writeClassAndObject(out, container);
        byte[] undisturbed = out.toBytes();

        kryo.changes.add(() -> add(container, 4));
        kryo.changes.add(() -> remove(container, 4));
        out.reset();
        kryo.writeClassAndObject(out, container);
        assertEquals(0, kryo.changes.size(), "changes that were not made");
        assertArrayEquals(undisturbed, out.toBytes());
        assertEquals(container, kryo.readClassAndObject(new Input(out.toBytes())));
    }

    @ParameterizedTest
    @MethodSource("containers")
    void anElementThatComesIsTold(Object container) {
        Disturbed kryo = new Disturbed();
        kryo.changes.add(() -> add(container, 4));
        assertThrows(ConcurrentModificationException.class, () -> kryo.writeClassAndObject(new Output(512), container));
    }

    @ParameterizedTest
    @MethodSource("containers")
    void anElementThatGoesIsTold(Object container) {
        Disturbed kryo = new Disturbed();
        kryo.changes.add(() -> remove(container, 3));
        assertThrows(ConcurrentModificationException.class, () -> kryo.writeClassAndObject(new Output(512), container));
    }

    /** What is written while another thread goes on changing it can be read, or the change is told. */
    @ParameterizedTest
    @MethodSource("containers")
    void aChangeIsToldOrDoesNoHarm(Object container) throws InterruptedException {
        KryoSerializer kryo = new KryoSerializer();
        Object value = new ArrayList<>(Arrays.asList("beside", container, container));
        Thread writer = new Thread(() -> {
            Random random = new Random(1);
            for (int n = 0; !Thread.currentThread().isInterrupted(); n++) {
                if (n % 200 == 0) {
                    clear(container);
                }
                add(container, random.nextInt());
            }
        });
        writer.start();
        try {
            int changed = 0;
            long end = System.nanoTime() + 30_000_000_000L;
            for (int written = 0; (changed < 20 || written < 5_000) && System.nanoTime() < end;) {
                try {
                    byte[] bytes = kryo.write(value);
                    if (bytes != null) {
                        written++;
                        kryo.read(bytes, getClass().getClassLoader(), null);
                    }
                } catch (ConcurrentModificationException e) {
                    changed++;
                } catch (IOException e) {
                    throw new AssertionError("what was written without a complaint cannot be read", e);
                }
            }
            assertTrue(changed >= 20, changed + " complaints");
        } finally {
            writer.interrupt();
            writer.join();
        }
    }

    private static void clear(Object container) {
        if (container instanceof Map) {
            ((Map<?, ?>) container).clear();
        } else {
            ((Collection<?>) container).clear();
        }
    }

    @SuppressWarnings("unchecked")
    private static void add(Object container, Integer element) {
        if (container instanceof Map) {
            ((Map<Object, Object>) container).put(element, element);
        } else {
            ((Collection<Object>) container).add(element);
        }
    }

    private static void remove(Object container, Integer element) {
        if (container instanceof Map) {
            ((Map<?, ?>) container).remove(element);
        } else {
            ((Collection<?>) container).remove(element);
        }
    }

    /** A Kryo whose serializers of containers ask it for generics twice: when they have asked for the size, and when the elements are written. */
    private static final class Disturbed extends Kryo {

        final Deque<Runnable> changes = new ArrayDeque<>();

        Disturbed() {
            setRegistrationRequired(false);
        }

        @Override
        public Generics getGenerics() {
            if (!changes.isEmpty()) {
                changes.remove().run();
            }
            return super.getGenerics();
        }

        @Override
        @SuppressWarnings("rawtypes")
        public Serializer getDefaultSerializer(Class type) {
            Serializer<?> container = Containers.serializer(type);
            return container != null ? container : super.getDefaultSerializer(type);
        }
    }
}
