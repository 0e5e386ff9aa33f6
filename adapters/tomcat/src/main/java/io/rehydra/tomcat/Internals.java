package io.rehydra.tomcat;

import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.security.Principal;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;

import javax.servlet.AsyncContext;

import org.apache.catalina.Session;
import org.apache.catalina.authenticator.SavedRequest;
import org.apache.catalina.connector.Request;
import org.apache.catalina.realm.GenericPrincipal;
import org.apache.coyote.ActionCode;
import org.apache.coyote.ActionHook;
import org.apache.coyote.Response;

/**
 * What differs between Tomcat 7 and 11, or is not public in all of them. Everything is looked up once, when the valve
 * starts; a Tomcat that lacks what the adapter cannot do without is refused then.
 */
final class Internals {

    private final Field hook;
    private final Field session;
    private final Field asyncContext;
    private final Constructor<GenericPrincipal> principal;
    private final boolean principalHasPassword;
    // Tomcat 9 and later, else null.
    private final Method getTrailers;
    private final Method setTrailers;
    private final ActionCode trailersSupported;
    // Tomcat 8.5 and later, else null.
    private final Method getOriginalInterval;
    private final Method setOriginalInterval;

    /**
     * Looks everything up.
     *
     * @throws IllegalStateException if this Tomcat lacks a part, or its modules forbid to reach it
     */
    Internals() {
        hook = field(Response.class, "hook");
        session = field(Request.class, "session");
        asyncContext = field(Request.class, "asyncContext");
        getTrailers = method(Response.class, "getTrailerFields");
        setTrailers = method(Response.class, "setTrailerFields", Supplier.class);
        trailersSupported = actionCode("IS_TRAILER_FIELDS_SUPPORTED");
        Method optional = method(SavedRequest.class, "getOriginalMaxInactiveIntervalOptional");
        getOriginalInterval = optional != null ? optional : method(SavedRequest.class, "getOriginalMaxInactiveInterval");
        setOriginalInterval = method(SavedRequest.class, "setOriginalMaxInactiveInterval", int.class);
        Constructor<GenericPrincipal> withoutPassword = constructor(String.class, List.class, Principal.class);
        principalHasPassword = withoutPassword == null;
        principal = principalHasPassword ? constructor(String.class, String.class, List.class, Principal.class) : withoutPassword;
        if (principal == null) {
            throw new IllegalStateException("cannot find a constructor of " + GenericPrincipal.class.getName());
        }
    }

    private static Field field(Class<?> type, String name) {
        try {
            Field field = type.getDeclaredField(name);
            field.setAccessible(true);
            return field;
        } catch (NoSuchFieldException | RuntimeException e) {
            throw new IllegalStateException("cannot reach the field " + name + " of " + type.getName()
                    + ": this needs Tomcat 7, 8.5, 9, 10.1 or 11, not run as a closed Java module", e);
        }
    }

    private static Method method(Class<?> type, String name, Class<?>... parameters) {
        try {
            return type.getMethod(name, parameters);
        } catch (NoSuchMethodException e) {
            return null;
        }
    }

    private static Constructor<GenericPrincipal> constructor(Class<?>... parameters) {
        try {
            return GenericPrincipal.class.getConstructor(parameters);
        } catch (NoSuchMethodException e) {
            return null;
        }
    }

    private static ActionCode actionCode(String name) {
        try {
            return ActionCode.valueOf(name);
        } catch (IllegalArgumentException e) {
            return null;
        }
    }

    ActionHook hook(Response response) {
        return (ActionHook) get(hook, response);
    }

    void setHook(Response response, ActionHook value) {
        try {
            hook.set(response, value);
        } catch (IllegalAccessException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The session that the request has already used, or null; unlike the request's own methods this is no access. */
    Session usedSession(Request request) {
        return (Session) get(session, request);
    }

    /** The asynchronous context, which a request that is being completed does not give away itself. Early 7.0 and 8.5 have no method for it. */
    AsyncContext asyncContext(Request request) {
        return (AsyncContext) get(asyncContext, request);
    }

    private static Object get(Field field, Object from) {
        try {
            return field.get(from);
        } catch (IllegalAccessException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Whether the response, not committed yet, could end with trailer fields: Tomcat 9 and later, HTTP/1.1 and not AJP. */
    boolean hasTrailers(Response response) {
        if (setTrailers == null || trailersSupported == null) {
            return false;
        }
        AtomicBoolean supported = new AtomicBoolean();
        response.action(trailersSupported, supported);
        return supported.get();
    }

    /** Makes the response chunked, with these trailer fields; the supplier is asked when the body ends. */
    void setTrailers(Response response, Supplier<Map<String, String>> fields) {
        invoke(setTrailers, response, fields);
    }

    /** The trailer fields that the application set, or null. */
    @SuppressWarnings("unchecked")
    Supplier<Map<String, String>> trailers(Response response) {
        return (Supplier<Map<String, String>>) invoke(getTrailers, response);
    }

    /** Tomcat's own principal, without a password. */
    GenericPrincipal principal(String name, List<String> roles, Principal user) {
        try {
            return principalHasPassword ? principal.newInstance(name, null, roles, user) : principal.newInstance(name, roles, user);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("cannot make a principal", e);
        }
    }

    /** Seconds that hold again after a form login, or null if they were not changed or this Tomcat does not change them. */
    Integer originalMaxInactiveInterval(SavedRequest saved) {
        return getOriginalInterval == null ? null : (Integer) invoke(getOriginalInterval, saved);
    }

    void setOriginalMaxInactiveInterval(SavedRequest saved, int seconds) {
        if (setOriginalInterval != null) {
            invoke(setOriginalInterval, saved, seconds);
        }
    }

    private static Object invoke(Method method, Object target, Object... arguments) {
        try {
            return method.invoke(target, arguments);
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof RuntimeException) {
                throw (RuntimeException) e.getCause();
            }
            throw new IllegalStateException(e.getCause());
        } catch (IllegalAccessException e) {
            throw new IllegalStateException(e);
        }
    }
}
