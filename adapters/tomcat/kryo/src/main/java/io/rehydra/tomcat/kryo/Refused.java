package io.rehydra.tomcat.kryo;

import com.esotericsoftware.kryo.KryoException;

/** A class in the bytes must not be read, or is not the one that was written. */
final class Refused extends KryoException {

    private static final long serialVersionUID = 1;

    final String className;

    Refused(Class<?> type, String why) {
        super(why);
        this.className = type.getName();
    }
}
