package io.rehydra.tomcat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

import org.apache.tomcat.util.http.MimeHeaders;
import org.junit.jupiter.api.Test;

class TierFieldsTest {

    private static final byte[] TOKEN = "secret".getBytes(StandardCharsets.UTF_8);

    /** A head of these names and values, as the HTTP connector has it: parts of one buffer. */
    private static MimeHeaders head(String... fields) {
        byte[] buffer = String.join("", fields).getBytes(StandardCharsets.UTF_8);
        MimeHeaders headers = new MimeHeaders();
        int at = 0;
        for (int i = 0; i < fields.length; i += 2) {
            int name = fields[i].getBytes(StandardCharsets.UTF_8).length;
            int value = fields[i + 1].getBytes(StandardCharsets.UTF_8).length;
            headers.addValue(buffer, at, name).setBytes(buffer, at + name, value);
            at += name + value;
        }
        return headers;
    }

    private static List<String> names(MimeHeaders headers) {
        List<String> names = new ArrayList<>();
        for (int i = 0; i < headers.size(); i++) {
            names.add(headers.getName(i).toString());
        }
        Collections.sort(names);
        return names;
    }

    @Test
    void takesThemOff() {
        MimeHeaders headers = head("rehydra-op", "read", "Host", "a", "Rehydra-Id", "ABC.node1", "REHYDRA-TIER", "secret", "Rehydra-Have", "2.8",
                "Rehydra-Other", "x", "Rehydra-State", "", "Rehydra-Id", "second", "Accept", "b");
        TierFields fields = TierFields.take(headers, TOKEN);
        assertEquals("ABC.node1", fields.id);
        assertEquals("2.8", fields.have);
        assertEquals("", fields.state);
        assertEquals("read", fields.op);
        assertEquals(Arrays.asList("Accept", "Host", "Rehydra-Other"), names(headers));
    }

    @Test
    void whatIsNotThereIsNull() {
        TierFields fields = TierFields.take(head("Rehydra-Tier", "secret"), TOKEN);
        assertNull(fields.id);
        assertNull(fields.have);
        assertNull(fields.state);
        assertNull(fields.op);
    }

    /** The AJP connector and other valves set texts. */
    @Test
    void readsTexts() {
        MimeHeaders headers = new MimeHeaders();
        headers.setValue("Rehydra-Tier").setString("secret");
        headers.setValue("Rehydra-Id").setString("ABC");
        assertEquals("ABC", TierFields.take(headers, TOKEN).id);
        assertEquals(0, headers.size());
    }

    @Test
    void wantsTheTokenOnce() {
        String[][] heads = {{"Rehydra-Id", "A"}, {"Rehydra-Tier", "secre", "Rehydra-Id", "A"}, {"Rehydra-Tier", "secret2"}, {"Rehydra-Tier", ""},
            {"Rehydra-Tier", "secret", "Rehydra-Tier", "secret"}, {"Rehydra-Tier", "secret", "rehydra-tier", "wrong"},
            {"Rehydra-Tier", "wrong", "Rehydra-Tier", "secret"}};
        for (String[] fields : heads) {
            MimeHeaders headers = head(fields);
            assertNull(TierFields.take(headers, TOKEN), Arrays.toString(fields));
            assertEquals(fields.length / 2, headers.size());
        }
    }

    @Test
    void takesATokenInUtf8() {
        assertNotNull(TierFields.take(head("Rehydra-Tier", "p\u00e4ss"), "p\u00e4ss".getBytes(StandardCharsets.UTF_8)));
    }
}
