package io.rehydra.tomcat.kryo;

import java.lang.reflect.Field;

import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.KryoException;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;

/** One field of a class: how its value is written and read. */
final class Slot {

    /** The field's name, with its class in front where that is one above the object's: the two may have fields of the same name. */
    final String name;
    /** The letter of the primitive in a class file's descriptors (JVM specification 4.3.2); L: an object. */
    final byte kind;
    /** Null: the class has no such field here. */
    private final Field field;

    Slot(Class<?> type, Field field) {
        Class<?> declaring = field.getDeclaringClass();
        this.name = declaring == type ? field.getName() : declaring.getName() + '.' + field.getName();
        this.kind = kind(field.getType());
        this.field = field;
        // Final fields too: those of records, the exception, do not come here.
        field.setAccessible(true);
    }

    /** A field that was written and is not here: it is read and forgotten. */
    Slot(String name, byte kind) {
        this.name = name;
        this.kind = kind;
        this.field = null;
    }

    private static byte kind(Class<?> type) {
        if (!type.isPrimitive()) {
            return 'L';
        }
        if (type == boolean.class) {
            return 'Z';
        }
        return (byte) (type == long.class ? 'J' : Character.toUpperCase(type.getName().charAt(0)));
    }

    void write(Kryo kryo, Output out, Object object) {
        try {
            switch (kind) {
                case 'Z': out.writeBoolean(field.getBoolean(object)); break;
                case 'B': out.writeByte(field.getByte(object)); break;
                case 'C': out.writeChar(field.getChar(object)); break;
                case 'S': out.writeShort(field.getShort(object)); break;
                case 'I': out.writeVarInt(field.getInt(object), false); break;
                case 'J': out.writeVarLong(field.getLong(object), false); break;
                case 'F': out.writeFloat(field.getFloat(object)); break;
                case 'D': out.writeDouble(field.getDouble(object)); break;
                default: kryo.writeClassAndObject(out, field.get(object));
            }
        } catch (IllegalAccessException e) {
            throw new KryoException("cannot read the field " + name, e);
        }
    }

    void read(Kryo kryo, Input in, Object object) {
        Object value = read(kryo, in);
        if (field == null) {
            return;
        }
        try {
            field.set(object, value);
        } catch (IllegalArgumentException e) {
            throw new Refused(field.getDeclaringClass(), "its field " + name + " is of another type here");
        } catch (IllegalAccessException e) {
            throw new KryoException("cannot set the field " + name, e);
        }
    }

    private Object read(Kryo kryo, Input in) {
        switch (kind) {
            case 'Z': return in.readBoolean();
            case 'B': return in.readByte();
            case 'C': return in.readChar();
            case 'S': return in.readShort();
            case 'I': return in.readVarInt(false);
            case 'J': return in.readVarLong(false);
            case 'F': return in.readFloat();
            case 'D': return in.readDouble();
            case 'L': return kryo.readClassAndObject(in);
            default: throw new KryoException("a field of kind " + kind);
        }
    }
}
