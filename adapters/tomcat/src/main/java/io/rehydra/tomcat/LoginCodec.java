package io.rehydra.tomcat;

import java.io.IOException;
import java.io.Serializable;
import java.security.Principal;
import java.util.Arrays;
import java.util.List;

import org.apache.catalina.Session;
import org.apache.catalina.authenticator.Constants;
import org.apache.catalina.authenticator.SavedRequest;
import org.apache.catalina.realm.GenericPrincipal;

/** The login of a live session to bytes and back. */
final class LoginCodec {

    private final LogOnce log;
    private final Internals internals;
    /** Principals are written with Java's own, whatever the attributes are written with: their classes are Tomcat's or a login module's. */
    private final JavaSerialization java;

    LoginCodec(LogOnce log, Internals internals) {
        this.log = log;
        this.internals = internals;
        this.java = new JavaSerialization(log.log());
    }

    Login capture(Session session) {
        Principal principal = session.getPrincipal();
        String name = null;
        List<String> roles = null;
        byte[] bytes = null;
        if (principal instanceof GenericPrincipal) {
            GenericPrincipal own = (GenericPrincipal) principal;
            name = own.getName();
            roles = Arrays.asList(own.getRoles());
            // Tomcat 7's user database has a user behind the principal that cannot be serialised and says nothing more: no warning.
            Principal user = own.getUserPrincipal();
            bytes = user == own || !(user instanceof Serializable) ? null : write(user);
        } else if (principal != null) {
            bytes = write(principal);
        }
        Object saved = session.getNote(Constants.FORM_REQUEST_NOTE);
        FormRequest formRequest = saved instanceof SavedRequest ? FormRequest.of((SavedRequest) saved, internals) : null;
        boolean boundToId = session.getNote(Constants.SESSION_ID_NOTE) != null;
        return new Login(session.getAuthType(), name, roles, bytes, boundToId, formRequest);
    }

    private byte[] write(Principal principal) {
        try {
            return java.write(principal);
        } catch (IOException | RuntimeException e) {
            log.warn("the login of a session is not kept: cannot write a " + principal.getClass().getName() + ": " + e);
            return null;
        }
    }

    /** Restores the login; one whose principal cannot be read is none at all, and named once in the log. */
    void restore(Login login, Session session, String id, ClassLoader loader) {
        Principal read = login.principal == null ? null : read(login.principal, loader);
        Principal principal = login.name == null ? read : internals.principal(login.name, login.roles, read);
        if (principal != null) {
            session.setPrincipal(principal);
            session.setAuthType(login.authType);
        }
        if (login.boundToId) {
            session.setNote(Constants.SESSION_ID_NOTE, id);
        }
        if (login.formRequest != null) {
            session.setNote(Constants.FORM_REQUEST_NOTE, login.formRequest.toSavedRequest(internals));
        }
    }

    private Principal read(byte[] bytes, ClassLoader loader) {
        try {
            // The manager's class filter is for attributes; Tomcat does not apply it to principals either.
            return (Principal) java.read(bytes, loader, null);
        } catch (IOException | ClassNotFoundException | RuntimeException | LinkageError e) {
            log.warn("the principal of a session cannot be read here: " + e);
            return null;
        }
    }
}
