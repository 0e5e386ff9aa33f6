package io.rehydra.tomcat;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** SHA-256 of some bytes. */
final class Sha256 {

    /** Only ever cloned: to look one up takes as long as to digest a kilobyte. */
    private static final MessageDigest UNUSED = find();

    private Sha256() {
    }

    static byte[] of(byte[] bytes) {
        return unused().digest(bytes);
    }

    private static MessageDigest unused() {
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
}
