package io.rehydra.tomcat;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;

import org.apache.tomcat.util.buf.ByteChunk;
import org.apache.tomcat.util.buf.MessageBytes;
import org.apache.tomcat.util.http.MimeHeaders;

/** What the tier says in the head of one request; null: nothing of that name. */
final class TierFields {

    private static final int TIER = 0;
    private static final int ID = 1;
    private static final int HAVE = 2;
    private static final int STATE = 3;
    private static final int OP = 4;
    private static final String[] NAMES = {Protocol.TIER, Protocol.ID, Protocol.HAVE, Protocol.STATE, Protocol.OP};

    final String id;
    final String have;
    final String state;
    final String op;

    /** @param found in the order of NAMES, the first of each */
    private TierFields(MessageBytes[] found) {
        id = text(found[ID]);
        have = text(found[HAVE]);
        state = text(found[STATE]);
        op = text(found[OP]);
    }

    /**
     * Takes the tier's fields off the request: an application that prints its request headers must not print the token.
     *
     * @return null if the request does not hold the token exactly once; it is left as it is then. The comparison takes the same time for
     *         every wrong token
     */
    static TierFields take(MimeHeaders headers, byte[] token) {
        MessageBytes[] found = new MessageBytes[NAMES.length];
        // One pass and not one for each name, as Tomcat's own look-ups make; most requests have two or three of them.
        for (int i = 0; i < headers.size(); i++) {
            int at = indexOf(headers.getName(i));
            if (at >= 0 && found[at] == null) {
                found[at] = headers.getValue(i);
            } else if (at == TIER) {
                return null;
            }
        }
        if (found[TIER] == null || !MessageDigest.isEqual(bytes(found[TIER]), token)) {
            return null;
        }
        // Before they are removed: Tomcat uses the place of a field again.
        TierFields fields = new TierFields(found);
        for (int at = 0; at < NAMES.length; at++) {
            if (found[at] != null) {
                // By name: until 7.0.99, 8.5.50 and 9.0.30 the method that takes a position is private.
                headers.removeHeader(NAMES[at]);
            }
        }
        return fields;
    }

    private static int indexOf(MessageBytes name) {
        if (name.startsWithIgnoreCase(Protocol.PREFIX, 0)) {
            for (int at = 0; at < NAMES.length; at++) {
                if (name.equalsIgnoreCase(NAMES[at])) {
                    return at;
                }
            }
        }
        return -1;
    }

    private static byte[] bytes(MessageBytes value) {
        if (value.getType() != MessageBytes.T_BYTES) {
            return value.toString().getBytes(StandardCharsets.ISO_8859_1);
        }
        ByteChunk chunk = value.getByteChunk();
        return Arrays.copyOfRange(chunk.getBuffer(), chunk.getStart(), chunk.getEnd());
    }

    /** As toString has it, which looks into Tomcat's cache of texts first: values here are new ones. */
    private static String text(MessageBytes value) {
        if (value == null || value.getType() != MessageBytes.T_BYTES) {
            return value == null ? null : value.toString();
        }
        ByteChunk chunk = value.getByteChunk();
        return new String(chunk.getBuffer(), chunk.getStart(), chunk.getLength(), StandardCharsets.ISO_8859_1);
    }
}
