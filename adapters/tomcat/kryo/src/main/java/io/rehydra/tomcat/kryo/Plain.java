package io.rehydra.tomcat.kryo;

import java.io.Externalizable;
import java.io.Serializable;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.URI;
import java.sql.Timestamp;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZonedDateTime;
import java.util.Arrays;
import java.util.Collections;
import java.util.Currency;
import java.util.Date;
import java.util.HashSet;
import java.util.Set;
import java.util.UUID;

/** Which classes Kryo brings back just as Java serialisation does. */
final class Plain {

    /** Values of the JDK whose Kryo serializers keep all there is. Not Locale, for one: its script and extensions would be lost. */
    private static final Set<Class<?>> SIMPLE = Collections.unmodifiableSet(new HashSet<>(Arrays.asList(
            String.class, Boolean.class, Byte.class, Character.class, Short.class, Integer.class, Long.class, Float.class, Double.class,
            boolean.class, byte.class, char.class, short.class, int.class, long.class, float.class, double.class,
            BigInteger.class, BigDecimal.class, Date.class, Timestamp.class, UUID.class, URI.class, Currency.class,
            Instant.class, Duration.class, LocalDate.class, LocalTime.class, LocalDateTime.class, OffsetDateTime.class,
            ZonedDateTime.class, Collections.emptyList().getClass(), Collections.emptySet().getClass(),
            Collections.emptyMap().getClass())));

    /** Methods by which a class takes its serialisation into its own hands (java.io.Serializable). */
    private static final Set<String> HOOKS = Collections.unmodifiableSet(new HashSet<>(Arrays.asList(
            "writeObject", "readObject", "readObjectNoData", "writeReplace", "readResolve")));

    private Plain() {
    }

    static boolean isSimple(Class<?> type) {
        return SIMPLE.contains(type);
    }

    /**
     * Whether the class and all above it are the application's, Serializable, and leave their serialisation to Java: then it is the
     * fields that are not transient, and nothing else.
     */
    static boolean isBean(Class<?> type) {
        if (type.isArray() || type.isEnum() || Modifier.isAbstract(type.getModifiers()) || Externalizable.class.isAssignableFrom(type)) {
            return false;
        }
        try {
            for (Class<?> c = type; c != Object.class; c = c.getSuperclass()) {
                if (c == null || !Serializable.class.isAssignableFrom(c) || isOfJava(c) || hasHooks(c)) {
                    return false;
                }
            }
        } catch (LinkageError e) {
            // A class that a method or field of it names is not here. Java serialisation looks at less of it.
            return false;
        }
        return true;
    }

    private static boolean isOfJava(Class<?> type) {
        String name = type.getName();
        return name.startsWith("java.") || name.startsWith("javax.") || name.startsWith("jdk.") || name.startsWith("sun.") || name.startsWith("com.sun.");
    }

    private static boolean hasHooks(Class<?> type) {
        for (Method method : type.getDeclaredMethods()) {
            if (HOOKS.contains(method.getName())) {
                return true;
            }
        }
        for (Field field : type.getDeclaredFields()) {
            if (field.getName().equals("serialPersistentFields")) {
                return true;
            }
        }
        return false;
    }
}
