package io.rehydra.tomcat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VersionTest {

    @ParameterizedTest
    @ValueSource(strings = {"1.1", "2.0", "0.0", "999999999999999999.999999999999999999"})
    void readsWhatItWrites(String text) {
        assertEquals(text, Version.parse(text).toString());
    }

    @ParameterizedTest
    @ValueSource(strings = {"", ".", "1", "1.", ".1", "1.1.1", "-1.1", "1.-1", "+1.1", " 1.1", "1.1 ", "a.b", "1.1a",
        "1000000000000000000.1", "١.١"})
    void refusesEverythingElse(String text) {
        assertNull(Version.parse(text));
    }

    @Test
    void ordersByGenerationFirst() {
        assertTrue(new Version(2, 0).isNewerThan(new Version(1, 99)));
        assertTrue(new Version(1, 10).isNewerThan(new Version(1, 9)));
        assertFalse(new Version(1, 1).isNewerThan(new Version(1, 1)));
        assertTrue(Version.FIRST.isNewerThan(Version.UNKNOWN));
    }

    @Test
    void countsUpWithinTheGeneration() {
        assertEquals("1.1", Version.UNKNOWN.next().toString());
        assertEquals("1.2", Version.FIRST.next().toString());
        assertEquals("3.1", new Version(3, 0).next().toString());
    }
}
