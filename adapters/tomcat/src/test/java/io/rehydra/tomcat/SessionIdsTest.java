package io.rehydra.tomcat;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

import org.apache.tomcat.util.http.MimeHeaders;
import org.junit.jupiter.api.Test;

class SessionIdsTest {

    private static boolean isOnce(String... cookies) {
        MimeHeaders headers = new MimeHeaders();
        headers.addValue("Accept").setString("JSESSIONID");
        for (String cookie : cookies) {
            // In the middle of a buffer, as in a request.
            byte[] bytes = ("JSESSIONID" + cookie + "JSESSIONID").getBytes(StandardCharsets.ISO_8859_1);
            headers.addValue("cookie").setBytes(bytes, 10, cookie.length());
        }
        return SessionIds.isOnce("JSESSIONID", headers);
    }

    @Test
    void knowsWhereThereIsOneCookieOnly() {
        String[][] once = {{"JSESSIONID=A"}, {"a=b; JSESSIONID=A.node1; c=d"}, {"a=b", "JSESSIONID=A"}, {"jsessionid=B; JSESSIONID=A"}, {"JSESSION=B; JSESSIONID=A"}};
        for (String[] cookies : once) {
            assertEquals(true, isOnce(cookies), Arrays.toString(cookies));
        }
        String[][] others = {{}, {"a=b"}, {"JSESSIONID=A; JSESSIONID=B"}, {"JSESSIONID=A", "JSESSIONID=B"}, {"a=JSESSIONID; JSESSIONID=B"},
            {"JSESSIONID=A; XJSESSIONID=B"}, {"JSESSIONID=A; JSESSIONIDX=B"}, {"JSESSIONID=JSESSIONID=A"}};
        for (String[] cookies : others) {
            assertEquals(false, isOnce(cookies), Arrays.toString(cookies));
        }
    }

    /** What another valve set as a text is left to Tomcat. */
    @Test
    void leavesTexts() {
        MimeHeaders headers = new MimeHeaders();
        headers.addValue("Cookie").setString("JSESSIONID=A");
        assertEquals(false, SessionIds.isOnce("JSESSIONID", headers));
    }
}
