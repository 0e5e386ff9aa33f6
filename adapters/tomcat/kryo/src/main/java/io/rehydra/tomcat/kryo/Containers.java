package io.rehydra.tomcat.kryo;

import java.util.AbstractMap;
import java.util.AbstractSet;
import java.util.ArrayList;
import java.util.Collection;
import java.util.ConcurrentModificationException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.LinkedList;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Supplier;

import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.KryoException;
import com.esotericsoftware.kryo.Serializer;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;
import com.esotericsoftware.kryo.serializers.CollectionSerializer;
import com.esotericsoftware.kryo.serializers.DefaultSerializers.TreeMapSerializer;
import com.esotericsoftware.kryo.serializers.DefaultSerializers.TreeSetSerializer;
import com.esotericsoftware.kryo.serializers.MapSerializer;

/**
 * The JDK's collections that Kryo handles: those whose elements, and comparator, are all there is to them. Not LinkedHashMap, which
 * may be ordered by access, nor those that other threads may change while they are written without an exception.
 */
final class Containers {

    private Containers() {
    }

    /** The serializer of exactly this class, or null. A class of the application that extends one may have fields of its own. */
    static Serializer<?> serializer(Class<?> type) {
        if (type == ArrayList.class || type == LinkedList.class || type == HashSet.class || type == LinkedHashSet.class) {
            return new Collections();
        }
        if (type == HashMap.class) {
            return new Maps();
        }
        if (type == TreeMap.class) {
            return new SortedMaps();
        }
        return type == TreeSet.class ? new SortedSets() : null;
    }

    /**
     * The elements as one look finds them. Kryo asks what it writes for its size and then for its elements, some of it twice: where another
     * thread changes it in between and back, neither an iterator nor the size afterwards tells, and the bytes cannot be read.
     */
    private static <T> List<T> look(Collection<? extends T> elements) {
        int size = elements.size();
        List<T> found = new ArrayList<>(size);
        for (T element : elements) {
            found.add(element);
        }
        // An iterator ends early, without an exception, where the last elements go while it looks for the next.
        checkSize(size, found.size());
        return found;
    }

    /** {@link #look} for those that hold their elements in order: the JDK's copy of one takes its size once, and as many elements. */
    private static <T> T lookInOrder(Supplier<T> copy) {
        try {
            return copy.get();
        } catch (NoSuchElementException e) {
            throw new ConcurrentModificationException("fewer elements than there were", e);
        }
    }

    private static void checkSize(int before, int after) {
        if (before != after) {
            throw new ConcurrentModificationException(before + " elements became " + after);
        }
    }

    /** Each element is a byte at least: damaged bytes must not cost memory beyond their own size. */
    private static void checkLength(Input in, int length) {
        if (length > in.limit() - in.position()) {
            throw new KryoException("a collection of " + length + " elements in " + (in.limit() - in.position()) + " bytes");
        }
    }

    private static final class Collections extends CollectionSerializer<Collection<?>> {
        @Override
        public void write(Kryo kryo, Output out, Collection<?> collection) {
            List<Object> seen = look(collection);
            super.write(kryo, out, seen);
            checkSize(seen.size(), collection.size());
        }

        @Override
        protected Collection<?> create(Kryo kryo, Input in, Class<? extends Collection<?>> type, int size) {
            checkLength(in, size);
            return super.create(kryo, in, type, size);
        }
    }

    private static final class SortedSets extends TreeSetSerializer {
        @Override
        @SuppressWarnings({"rawtypes", "unchecked"})
        public void write(Kryo kryo, Output out, TreeSet set) {
            TreeSet seen = lookInOrder(() -> new TreeSet((SortedSet) set));
            super.write(kryo, out, seen);
            checkSize(seen.size(), set.size());
        }
    }

    private static final class Maps extends MapSerializer<Map<Object, Object>> {
        @Override
        public void write(Kryo kryo, Output out, Map<Object, Object> map) {
            List<Map.Entry<Object, Object>> seen = look(map.entrySet());
            super.write(kryo, out, new Entries(seen));
            checkSize(seen.size(), map.size());
        }

        @Override
        protected Map<Object, Object> create(Kryo kryo, Input in, Class<? extends Map<Object, Object>> type, int size) {
            checkLength(in, size);
            return super.create(kryo, in, type, size);
        }
    }

    /** A map that Kryo can write, of entries that were seen. */
    private static final class Entries extends AbstractMap<Object, Object> {

        private final List<Map.Entry<Object, Object>> seen;

        Entries(List<Map.Entry<Object, Object>> seen) {
            this.seen = seen;
        }

        @Override
        public Set<Map.Entry<Object, Object>> entrySet() {
            return new AbstractSet<Map.Entry<Object, Object>>() {
                @Override
                public Iterator<Map.Entry<Object, Object>> iterator() {
                    return seen.iterator();
                }

                @Override
                public int size() {
                    return seen.size();
                }
            };
        }
    }

    private static final class SortedMaps extends TreeMapSerializer {
        @Override
        @SuppressWarnings({"rawtypes", "unchecked"})
        public void write(Kryo kryo, Output out, TreeMap map) {
            TreeMap seen = lookInOrder(() -> new TreeMap((SortedMap) map));
            super.write(kryo, out, seen);
            checkSize(seen.size(), map.size());
        }
    }
}
