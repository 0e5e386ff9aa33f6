package io.rehydra.tomcat.kryo;

import java.io.IOException;
import java.io.InvalidClassException;
import java.util.ConcurrentModificationException;
import java.util.regex.Pattern;

import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;
import com.esotericsoftware.kryo.util.Pool;

import io.rehydra.tomcat.Serializer;

/**
 * Kryo 5 for session attributes: smaller and faster than Java serialisation for beans, collections and simple values. A value that
 * holds anything which Kryo would not bring back exactly as Java serialisation does is left to that, whole: {@link Plain} tells.
 */
public final class KryoSerializer implements Serializer {

    private static final int FORMAT = 2;

    /** Kryos kept for the next request; each knows the application's classes, some ten KB. More are made when more run at once. */
    private static final int MOST_IDLE = 16;

    private final Pool<GuardedKryo> idle = new Pool<GuardedKryo>(true, false, MOST_IDLE) {
        @Override
        protected GuardedKryo create() {
            return new GuardedKryo();
        }
    };

    @Override
    public int format() {
        return FORMAT;
    }

    @Override
    public byte[] write(Object value) {
        GuardedKryo kryo = idle.obtain();
        Output out = new Output(512, -1);
        try {
            kryo.writeClassAndObject(out, value);
        } catch (LeftToJava e) {
            idle.free(kryo);
            return null;
        } catch (RuntimeException e) {
            // This Kryo is not used again. Java serialisation may succeed, and if not it says why in words that people know.
            ConcurrentModificationException changed = cause(e, ConcurrentModificationException.class);
            if (changed != null) {
                throw changed;
            }
            return null;
        }
        idle.free(kryo);
        return out.toBytes();
    }

    @Override
    public Object read(byte[] bytes, ClassLoader loader, Pattern allowed) throws IOException {
        GuardedKryo kryo = idle.obtain();
        Object value;
        try (Input in = new Input(bytes)) {
            value = kryo.read(in, loader, allowed);
            if (in.position() != bytes.length) {
                throw new IOException("cannot read a value: " + (bytes.length - in.position()) + " bytes too many");
            }
        } catch (RuntimeException e) {
            Refused refused = cause(e, Refused.class);
            if (refused != null) {
                throw new InvalidClassException(refused.className, refused.getMessage());
            }
            throw new IOException("cannot read a value: " + e.getMessage(), e);
        }
        idle.free(kryo);
        return value;
    }

    /** The exception of a type among this one and its causes, or null: Kryo wraps what is thrown while it reads fields. */
    private static <T extends Throwable> T cause(Throwable e, Class<T> type) {
        for (Throwable next = e; next != null; next = next.getCause()) {
            if (type.isInstance(next)) {
                return type.cast(next);
            }
        }
        return null;
    }
}
