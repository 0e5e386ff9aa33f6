package io.rehydra.tomcat.kryo;

import java.lang.reflect.Proxy;
import java.net.URI;
import java.util.HashSet;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Pattern;

import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.Registration;
import com.esotericsoftware.kryo.Serializer;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.serializers.DefaultSerializers.URISerializer;
import com.esotericsoftware.kryo.serializers.DefaultSerializers.UUIDSerializer;
import com.esotericsoftware.kryo.serializers.EnumNameSerializer;

import org.objenesis.instantiator.ObjectInstantiator;
import org.objenesis.strategy.StdInstantiatorStrategy;

/**
 * A Kryo that handles the classes of {@link Plain} and {@link Containers} and no other, in either direction: bytes cannot name a
 * class that does something when it is read. For one thread at a time.
 */
final class GuardedKryo extends Kryo {

    private final StdInstantiatorStrategy withoutConstructor = new StdInstantiatorStrategy();
    private final Set<Class<?>> left = new HashSet<>();
    /** While something is read: what the names of classes must match, or null. */
    private Pattern allowed;

    GuardedKryo() {
        setRegistrationRequired(false);
        // One object that is referred to twice within a value stays one.
        setReferences(true);
        // Kryo has serializers for these and does not use them by itself.
        addDefaultSerializer(UUID.class, new UUIDSerializer());
        addDefaultSerializer(URI.class, new URISerializer());
    }

    Object read(Input in, ClassLoader loader, Pattern allowed) {
        setClassLoader(loader);
        this.allowed = allowed;
        try {
            Object value = readClassAndObject(in);
            if (allowed != null && value != null) {
                // The wrappers of primitives have numbers of their own and do not come by getRegistration.
                check(value.getClass());
            }
            return value;
        } finally {
            this.allowed = null;
        }
    }

    private void check(Class<?> type) {
        // Java serialisation does not ask the filter about strings either.
        if (!type.isPrimitive() && type != String.class && !allowed.matcher(type.getName()).matches()) {
            throw new Refused(type, "the filter of classes refuses it");
        }
    }

    /** Every class passes here, whether the bytes name it or a field's type does. */
    @Override
    public Registration getRegistration(@SuppressWarnings("rawtypes") Class type) {
        if (allowed != null) {
            check(type);
        }
        Registration known = getClassResolver().getRegistration(type);
        if (known != null) {
            return known;
        }
        if (Proxy.isProxyClass(type) || isClosure(type)) {
            throw new LeftToJava(type);
        }
        return super.getRegistration(type);
    }

    @Override
    @SuppressWarnings({"rawtypes", "unchecked"})
    public Serializer getDefaultSerializer(Class type) {
        if (left.contains(type)) {
            throw new LeftToJava(type);
        }
        Serializer<?> container = Containers.serializer(type);
        if (container != null) {
            return container;
        }
        if (type.isEnum()) {
            // By name, as Java serialisation does it: another version of the application may have the constants in another order.
            return new EnumNameSerializer(type);
        }
        if (type.isArray() || Plain.isSimple(type)) {
            return super.getDefaultSerializer(type);
        }
        if (Plain.isBean(type)) {
            return new BeanSerializer<>(type);
        }
        left.add(type);
        throw new LeftToJava(type);
    }

    /** Beans are made as Java serialisation makes them: without a call of their constructors. */
    @Override
    protected ObjectInstantiator<?> newInstantiator(@SuppressWarnings("rawtypes") Class type) {
        return Plain.isBean(type) ? withoutConstructor.newInstantiatorOf(type) : super.newInstantiator(type);
    }
}
