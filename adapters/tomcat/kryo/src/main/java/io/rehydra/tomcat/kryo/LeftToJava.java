package io.rehydra.tomcat.kryo;

import com.esotericsoftware.kryo.KryoException;

/** A class was met that Kryo does not handle here. A KryoException, since Kryo lets those pass as they are. */
final class LeftToJava extends KryoException {

    private static final long serialVersionUID = 1;

    LeftToJava(Class<?> type) {
        super(type.getName() + " is left to Java serialization");
    }

    /** Nobody looks at it, and it is thrown at every request of a session with such a value. */
    @Override
    public synchronized Throwable fillInStackTrace() {
        return this;
    }
}
