package io.rehydra.tomcat;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class TooOldTest {

    @Test
    void refusesOlderOnes() {
        for (String number : new String[] {"7.0.52.0", "7.0.0.0", "7.0.6", "6.0.53.0"}) {
            Exception refused = assertThrows(IllegalStateException.class, () -> TooOld.check("Apache Tomcat/x", number), number);
            assertTrue(refused.getMessage().contains("this is Apache Tomcat/x (" + number + ")"), refused.getMessage());
            assertTrue(refused.getMessage().contains("7.0.53"), refused.getMessage());
        }
    }

    @Test
    void letsOthersPass() {
        for (String number : new String[] {"7.0.53.0", "7.0.53", "7.0.109.0", "7.1.0.0", "8.0.1.0", "8.5.0.0", "9.0.0.0", "10.1.1.0", "11.0.1.0",
                "", "7", "7.0", "hidden", "7.0.x", "0.0.0.0", "1.0", "0", "5.5.36"}) {
            assertDoesNotThrow(() -> TooOld.check("Apache Tomcat", number), number);
        }
    }
}
