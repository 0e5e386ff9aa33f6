package io.rehydra.tomcat.kryo;

import java.io.ObjectStreamClass;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.Serializer;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;

/**
 * An object by its fields. Kryo's own serializers of fields take another version of a class for the same, or cannot pass over a field
 * that is gone; this one follows the rules of Java serialisation: the serialVersionUID tells whether two versions belong together;
 * new fields stay at their defaults, fields that are gone are passed over, one of another type is an error.
 *
 * <pre>
 * with the first object of a class in a value: long serialVersionUIDs, int number of fields, for each its name and its {@link Slot}'s kind
 * the values of the fields, in that order
 * </pre>
 */
final class BeanSerializer<T> extends Serializer<T> {

    private final Class<?> type;
    private final long uid;
    private final Slot[] slots;
    private final Map<String, Slot> byName = new HashMap<>();

    BeanSerializer(Class<T> type) {
        this.type = type;
        List<Slot> found = new ArrayList<>();
        long uids = 0;
        for (Class<?> c = type; c != Object.class; c = c.getSuperclass()) {
            uids = uids * 31 + ObjectStreamClass.lookup(c).getSerialVersionUID();
            Field[] fields = c.getDeclaredFields();
            // Their order is not defined, and equal values should give equal bytes.
            Arrays.sort(fields, Comparator.comparing(Field::getName));
            for (Field field : fields) {
                if ((field.getModifiers() & (Modifier.STATIC | Modifier.TRANSIENT)) == 0) {
                    found.add(new Slot(type, field));
                }
            }
        }
        uid = uids;
        slots = found.toArray(new Slot[0]);
        for (Slot slot : slots) {
            byName.put(slot.name, slot);
        }
    }

    @Override
    @SuppressWarnings("unchecked")
    public void write(Kryo kryo, Output out, T object) {
        if (kryo.getGraphContext().put(this, slots) == null) {
            out.writeLong(uid);
            out.writeVarInt(slots.length, true);
            for (Slot slot : slots) {
                out.writeString(slot.name);
                out.writeByte(slot.kind);
            }
        }
        for (Slot slot : slots) {
            slot.write(kryo, out, object);
        }
    }

    @Override
    @SuppressWarnings("unchecked")
    public T read(Kryo kryo, Input in, Class<? extends T> ignored) {
        Slot[] written = (Slot[]) kryo.getGraphContext().get(this);
        if (written == null) {
            written = readSlots(in);
            kryo.getGraphContext().put(this, written);
        }
        T object = (T) kryo.newInstance(type);
        // From here on others may refer to it, its own fields among them.
        kryo.reference(object);
        for (Slot slot : written) {
            slot.read(kryo, in, object);
        }
        return object;
    }

    private Slot[] readSlots(Input in) {
        if (in.readLong() != uid) {
            throw new Refused(type, "the serialVersionUID of it or of a class above it is another one here");
        }
        int count = in.readVarInt(true);
        if (count > in.limit() - in.position()) {
            throw new Refused(type, count + " fields in " + (in.limit() - in.position()) + " bytes");
        }
        Slot[] written = new Slot[count];
        for (int i = 0; i < count; i++) {
            String name = in.readString();
            byte kind = in.readByte();
            Slot here = byName.get(name);
            if (here != null && here.kind != kind) {
                throw new Refused(type, "its field " + name + " is of another type here");
            }
            written[i] = here != null ? here : new Slot(name, kind);
        }
        return written;
    }
}
