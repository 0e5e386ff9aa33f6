package io.rehydra.tomcat.kryo;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.ConcurrentModificationException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.LinkedList;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;

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

    /** Kryo writes the size, then the elements: if another thread adds one between the two, no iterator notices. */
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
            // Of one length, whatever another thread does: an iterator ends early, without an exception, where elements go and come back.
            Object[] elements = collection.toArray();
            super.write(kryo, out, Arrays.asList(elements));
            checkSize(elements.length, collection.size());
        }

        @Override
        protected Collection<?> create(Kryo kryo, Input in, Class<? extends Collection<?>> type, int size) {
            checkLength(in, size);
            return super.create(kryo, in, type, size);
        }
    }

    private static final class SortedSets extends TreeSetSerializer {
        @Override
        @SuppressWarnings("rawtypes")
        public void write(Kryo kryo, Output out, TreeSet set) {
            int size = set.size();
            super.write(kryo, out, set);
            checkSize(size, set.size());
        }
    }

    private static final class Maps extends MapSerializer<Map<?, ?>> {
        @Override
        public void write(Kryo kryo, Output out, Map<?, ?> map) {
            int size = map.size();
            super.write(kryo, out, map);
            checkSize(size, map.size());
        }

        @Override
        protected Map<?, ?> create(Kryo kryo, Input in, Class<? extends Map<?, ?>> type, int size) {
            checkLength(in, size);
            return super.create(kryo, in, type, size);
        }
    }

    private static final class SortedMaps extends TreeMapSerializer {
        @Override
        @SuppressWarnings("rawtypes")
        public void write(Kryo kryo, Output out, TreeMap map) {
            int size = map.size();
            super.write(kryo, out, map);
            checkSize(size, map.size());
        }
    }
}
