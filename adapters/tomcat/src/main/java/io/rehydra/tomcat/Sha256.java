package io.rehydra.tomcat;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** SHA-256 of some bytes. */
final class Sha256 {

    /** Only ever cloned, or null: to look one up takes as long as to digest a kilobyte. */
    private static final MessageDigest UNUSED = kept(find());

    private Sha256() {
    }

    static byte[] of(byte[] bytes) {
        return unused().digest(bytes);
    }

    private static MessageDigest unused() {
        if (UNUSED == null) {
            return find();
        }
        try {
            return (MessageDigest) UNUSED.clone();
        } catch (CloneNotSupportedException e) {
            // Not every provider's can be.
            return find();
        }
    }

    private static MessageDigest find() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }

    /**
     * The digest if it may be kept for ever, else null: a web application can put a provider of its own before Java's, whose classes go with
     * the application.
     */
    static MessageDigest kept(MessageDigest found) {
        ClassLoader provider = found.getProvider().getClass().getClassLoader();
        ClassLoader ours = Sha256.class.getClassLoader();
        while (ours != null && ours != provider) {
            ours = ours.getParent();
        }
        return ours == provider ? found : null;
    }
}
