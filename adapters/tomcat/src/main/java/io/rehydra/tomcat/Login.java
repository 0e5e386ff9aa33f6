package io.rehydra.tomcat;

import java.io.DataInputStream;
import java.io.IOException;
import java.util.List;

/**
 * Who is logged in to a session, as bytes: authentication type and principal, and a form login that is under way. A password is
 * never kept, so a realm that needs one again ({@code cache="false"} on the authenticator) asks the user again.
 *
 * <pre>
 * text             authentication type: BASIC, FORM, ... or null
 * byte             0 no principal, 1 Tomcat's own (name and roles follow), 2 another class (serialised)
 *   1: text name, list of role texts, bytes of the user principal (serialised, or -1)
 *   2: bytes of the principal
 * byte             1: the session is bound to its id by a form login, else 0
 * byte             1: a saved request follows, see {@link FormRequest}; else 0
 * </pre>
 */
final class Login {

    /** Bytes that {@link #write} takes where nobody is logged in. */
    static final int NOBODYS_LENGTH = 4 + 1 + 1 + 1;

    private static final int NOBODY = 0;
    private static final int GENERIC = 1;
    private static final int OTHER = 2;

    final String authType;
    /** The user's name where the principal is Tomcat's own, else null. */
    final String name;
    final List<String> roles;
    /** The serialised principal: the user principal inside Tomcat's own, or a principal of another class; null: none. */
    final byte[] principal;
    final boolean boundToId;
    final FormRequest formRequest;

    Login(String authType, String name, List<String> roles, byte[] principal, boolean boundToId, FormRequest formRequest) {
        this.authType = authType;
        this.name = name;
        this.roles = roles;
        this.principal = principal;
        this.boundToId = boundToId;
        this.formRequest = formRequest;
    }

    void write(WireWriter out) {
        out.writeText(authType);
        if (name != null) {
            out.writeByte(GENERIC);
            out.writeText(name);
            out.writeTexts(roles);
            out.writeBytes(principal);
        } else if (principal != null) {
            out.writeByte(OTHER);
            out.writeBytes(principal);
        } else {
            out.writeByte(NOBODY);
        }
        out.writeBoolean(boundToId);
        out.writeBoolean(formRequest != null);
        if (formRequest != null) {
            formRequest.write(out);
        }
    }

    static Login read(DataInputStream in) throws IOException {
        String authType = Wire.readText(in);
        String name = null;
        List<String> roles = null;
        byte[] principal = null;
        int kind = in.readUnsignedByte();
        switch (kind) {
            case NOBODY:
                break;
            case GENERIC:
                name = Wire.readText(in);
                roles = Wire.readTexts(in);
                principal = Wire.readBytes(in);
                break;
            case OTHER:
                principal = Wire.readBytes(in);
                break;
            default:
                throw new IOException("cannot read session state: principal of kind " + kind + ", want 0, 1 or 2");
        }
        boolean boundToId = in.readBoolean();
        FormRequest formRequest = in.readBoolean() ? FormRequest.read(in) : null;
        return new Login(authType, name, roles, principal, boundToId, formRequest);
    }
}
