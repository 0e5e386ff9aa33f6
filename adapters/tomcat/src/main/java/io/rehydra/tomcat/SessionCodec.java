package io.rehydra.tomcat;

import java.io.IOException;
import java.io.InvalidClassException;
import java.io.Serializable;
import java.util.ConcurrentModificationException;
import java.util.Enumeration;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;

import org.apache.catalina.Manager;
import org.apache.catalina.session.StandardSession;

/**
 * A live session to its state and back. Tomcat's own StandardSession.writeObjectData is for passivation: it removes what it
 * cannot write from the live session. This one only reads.
 */
final class SessionCodec {

    /** An attribute that another request changes while it is written is tried this often. */
    private static final int TRIES = 3;

    private final LogOnce log;
    private final LoginCodec logins;
    private final Serializers serializers;
    /** The names that the valve keeps, or null: all. */
    private final Pattern kept;
    private volatile AttributeFilter lastFilter;

    SessionCodec(LogOnce log, Internals internals, Serializers serializers, Pattern kept) {
        this.log = log;
        this.serializers = serializers;
        this.kept = kept;
        this.logins = new LoginCodec(log, internals);
    }

    /**
     * Reads what is in the session now. Attributes that cannot be written are left out and named once in the log.
     *
     * @param carried serialised attributes that are kept although their classes are not here
     * @throws IllegalStateException            if the session has ended
     * @throws ConcurrentModificationException if an attribute was being changed at each of several tries
     */
    SessionState capture(StandardSession session, Map<String, SerializedValue> carried) {
        AttributeFilter filter = filter(session.getManager());
        SortedMap<String, SerializedValue> attributes = carried.isEmpty() ? new TreeMap<>() : new TreeMap<>(carried);
        for (Enumeration<String> names = session.getAttributeNames(); names.hasMoreElements();) {
            String name = names.nextElement();
            Object value = session.getAttribute(name);
            SerializedValue written = value == null ? null : write(name, value, filter);
            if (written == null) {
                attributes.remove(name);
            } else {
                attributes.put(name, written);
            }
        }
        return new SessionState(session.getCreationTime(), session.getMaxInactiveInterval(), logins.capture(session), attributes);
    }

    private SerializedValue write(String name, Object value, AttributeFilter filter) {
        if (!filter.allowsName(name)) {
            return null;
        }
        if (!filter.allowsClass(value.getClass())) {
            refused(name, filter);
            return null;
        }
        if (!(value instanceof Serializable)) {
            log.warn("session attribute \"" + name + "\" is not kept: " + value.getClass().getName() + " is not serializable");
            return null;
        }
        for (int attempt = 1;; attempt++) {
            try {
                return serializers.write(value);
            } catch (ConcurrentModificationException e) {
                if (attempt == TRIES) {
                    throw e;
                }
            } catch (IOException | RuntimeException | StackOverflowError e) {
                log.warn("session attribute \"" + name + "\" is not kept: cannot write a " + value.getClass().getName() + ": " + e);
                return null;
            }
        }
    }

    /**
     * Reads the bytes of a state as far as they are ours; the values of attributes stay bytes.
     *
     * @throws IOException if they are no state, or one that needs a serializer that is not here
     */
    SessionState decode(byte[] bytes) throws IOException {
        SessionState state = SessionState.decode(bytes);
        serializers.check(state);
        return state;
    }

    /**
     * Fills a new, empty session that the manager does not hold yet. The session gets no events; activation is the caller's.
     *
     * @param id      the id that the session will have
     * @param carried takes the attributes that cannot be read here: another node, with newer classes, may be able to
     */
    void restore(SessionState state, StandardSession session, String id, ClassLoader loader, Map<String, SerializedValue> carried) {
        AttributeFilter filter = filter(session.getManager());
        session.setNew(false);
        session.setValid(true);
        session.setCreationTime(state.creationTime);
        session.setMaxInactiveInterval(state.maxInactiveInterval);
        for (Map.Entry<String, SerializedValue> attribute : state.attributes.entrySet()) {
            Object value = read(attribute.getKey(), attribute.getValue(), filter, loader, carried);
            if (value != null) {
                session.setAttribute(attribute.getKey(), value, false);
            }
        }
        logins.restore(state.login, session, id, loader);
        // The time of access becomes now; setCreationTime had set it to the creation.
        session.access();
        session.endAccess();
    }

    private Object read(String name, SerializedValue written, AttributeFilter filter, ClassLoader loader,
            Map<String, SerializedValue> carried) {
        if (!filter.allowsName(name)) {
            return null;
        }
        try {
            return serializers.read(written, loader, filter.classNames());
        } catch (InvalidClassException e) {
            if (filter.classNames() != null) {
                refused(name, filter);
                return null;
            }
            return carry(name, written, carried, e);
        } catch (IOException | ClassNotFoundException | RuntimeException | LinkageError e) {
            return carry(name, written, carried, e);
        }
    }

    private Object carry(String name, SerializedValue written, Map<String, SerializedValue> carried, Throwable why) {
        log.warn("session attribute \"" + name + "\" cannot be read here, it is passed on unread: " + why);
        carried.put(name, written);
        return null;
    }

    private void refused(String name, AttributeFilter filter) {
        if (filter.warns()) {
            log.warn("session attribute \"" + name + "\" is not kept: sessionAttributeValueClassNameFilter refuses a class in it");
        }
    }

    private AttributeFilter filter(Manager manager) {
        AttributeFilter filter = AttributeFilter.of(kept, manager, lastFilter);
        lastFilter = filter;
        return filter;
    }
}
