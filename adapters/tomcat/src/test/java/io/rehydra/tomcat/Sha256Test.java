package io.rehydra.tomcat;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.net.URL;
import java.net.URLClassLoader;
import java.security.MessageDigest;
import java.security.MessageDigestSpi;
import java.security.Provider;
import java.util.Arrays;
import java.util.Base64;

import org.junit.jupiter.api.Test;

class Sha256Test {

    /** As a web application may bring one in its WEB-INF/lib. */
    public static final class Foreign extends Provider {
        private static final long serialVersionUID = 1;

        @SuppressWarnings("deprecation")
        public Foreign() {
            super("Foreign", 1.0, "");
            put("MessageDigest.SHA-256", Spi.class.getName());
        }
    }

    /** Digests nothing. */
    public static final class Spi extends MessageDigestSpi implements Cloneable {
        @Override
        protected void engineUpdate(byte input) {
            // Nothing to do.
        }

        @Override
        protected void engineUpdate(byte[] input, int offset, int length) {
            // Nothing to do.
        }

        @Override
        protected byte[] engineDigest() {
            return new byte[32];
        }

        @Override
        protected void engineReset() {
            // Nothing to do.
        }

        @Override
        public Object clone() throws CloneNotSupportedException {
            return super.clone();
        }
    }

    /** Loads its classes itself, as a web application does. */
    private static final class Application extends URLClassLoader {
        Application(URL classes) {
            super(new URL[] {classes}, Sha256Test.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (!name.startsWith(Sha256Test.class.getName())) {
                return super.loadClass(name, resolve);
            }
            Class<?> loaded = findLoadedClass(name);
            return loaded != null ? loaded : findClass(name);
        }
    }

    @Test
    void digestsAgainAndAgain() throws Exception {
        for (int length : new int[] {0, 1, 64, 5000}) {
            byte[] bytes = new byte[length];
            Arrays.fill(bytes, (byte) 'x');
            byte[] want = MessageDigest.getInstance("SHA-256").digest(bytes);
            assertArrayEquals(want, Sha256.of(bytes));
            assertArrayEquals(want, Sha256.of(bytes));
        }
        assertArrayEquals(Base64.getDecoder().decode("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="), Sha256.of(new byte[0]));
    }

    /** Else the classes of an application that is deployed anew would stay. */
    @Test
    void keepsNoDigestOfAnApplication() throws Exception {
        try (Application loader = new Application(Sha256Test.class.getProtectionDomain().getCodeSource().getLocation())) {
            Class<?> type = loader.loadClass(Foreign.class.getName());
            assertNotSame(Foreign.class, type);
            assertNull(Sha256.kept(MessageDigest.getInstance("SHA-256", (Provider) type.getConstructor().newInstance())));
        }
        MessageDigest own = MessageDigest.getInstance("SHA-256", new Foreign());
        assertSame(own, Sha256.kept(own));
        MessageDigest java = MessageDigest.getInstance("SHA-256");
        assertSame(java, Sha256.kept(java));
    }
}
