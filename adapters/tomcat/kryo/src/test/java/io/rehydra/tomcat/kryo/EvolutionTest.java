package io.rehydra.tomcat.kryo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;

import javax.tools.ToolProvider;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** During a deployment one node has the old version of a class and the next one the new version. */
class EvolutionTest {

    private static final String HEAD = "public class Bean implements java.io.Serializable { private static final long serialVersionUID = 1;";

    private final KryoSerializer kryo = new KryoSerializer();

    /** A class loader with one class, Bean, of this source, as an application's is below the one of the serializer. */
    private static ClassLoader version(Path dir, String source) throws IOException {
        Path file = Files.createDirectories(dir).resolve("Bean.java");
        Files.write(file, Collections.singletonList(source));
        assertEquals(0, ToolProvider.getSystemJavaCompiler().run(null, null, null, "-d", dir.toString(), file.toString()), source);
        return new URLClassLoader(new URL[] {dir.toUri().toURL()}, EvolutionTest.class.getClassLoader());
    }

    private byte[] write(ClassLoader loader) throws Exception {
        return kryo.write(loader.loadClass("Bean").getConstructor().newInstance());
    }

    @Test
    void fieldsComeAndGo(@TempDir Path dir) throws Exception {
        ClassLoader before = version(dir.resolve("1"), HEAD + "public String kept = \"a\"; public int gone = 5; private java.util.List<String> old ="
                + " new java.util.ArrayList<>(java.util.Arrays.asList(\"x\")); private final long last = Long.parseLong(\"7\");"
                + " public String toString() { return kept + gone + old + last; } }");
        ClassLoader after = version(dir.resolve("2"), HEAD + "private final long last; public String more = \"by the constructor\"; public String kept;"
                + " public Bean() { last = 0; } public String toString() { return kept + more + last; } }");
        assertEquals("anull7", new KryoSerializer().read(write(before), after, null).toString());
        assertEquals("null0null0", new KryoSerializer().read(write(after), before, null).toString().replace("by the constructor", ""));
    }

    @Test
    void anotherTypeIsRefused(@TempDir Path dir) throws Exception {
        ClassLoader before = version(dir.resolve("1"), HEAD + "private String value = \"a\"; }");
        ClassLoader after = version(dir.resolve("2"), HEAD + "private java.util.Date value = new java.util.Date(); }");
        byte[] bytes = write(before);
        assertThrows(IOException.class, () -> new KryoSerializer().read(bytes, after, null));
        ClassLoader number = version(dir.resolve("3"), HEAD + "private int value = 1; }");
        assertThrows(IOException.class, () -> new KryoSerializer().read(bytes, number, null));
    }

    /** The class is missing altogether: not installed here yet. */
    @Test
    void aMissingClassIsRefused(@TempDir Path dir) throws Exception {
        byte[] bytes = write(version(dir.resolve("1"), HEAD + "}"));
        assertThrows(IOException.class, () -> new KryoSerializer().read(bytes, getClass().getClassLoader(), null));
    }

    /** Readers of two versions at once do not mix them up, as two applications of one Tomcat have classes of the same name. */
    @Test
    void versionsDoNotMix(@TempDir Path dir) throws Exception {
        for (int i = 0; i < 2; i++) {
            ClassLoader loader = version(dir.resolve("" + i), HEAD + "public String value = \"" + i + "\"; public String toString() { return value; } }");
            KryoSerializer own = new KryoSerializer();
            byte[] bytes = own.write(loader.loadClass("Bean").getConstructor().newInstance());
            Object read = own.read(bytes, loader, null);
            assertEquals(loader, read.getClass().getClassLoader());
            assertEquals("" + i, read.toString());
        }
    }
}
