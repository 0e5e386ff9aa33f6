package io.rehydra.tomcat;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.apache.coyote.Response;
import org.apache.tomcat.util.buf.MessageBytes;
import org.junit.jupiter.api.Test;

class HeadFieldTest {

    @Test
    void setsBytesOnceEach() {
        Response response = new Response();
        response.addHeader("a", "1");
        response.addHeader("A", "2");
        HeadField.set(response, "A", "x y~");
        HeadField.set(response, "B", new byte[] {'z'});
        assertEquals(2, response.getMimeHeaders().size());
        assertEquals("x y~", response.getMimeHeaders().getHeader("A"));
        assertEquals("z", response.getMimeHeaders().getHeader("b"));
    }

    /** Tomcat takes control characters out of a text, not of bytes. */
    @Test
    void leavesWhatMayNotStandThereToTomcat() {
        for (String text : new String[] {"a\r\nb", "a\tb", "\u007f", "\u00e9", "\0"}) {
            Response response = new Response();
            HeadField.set(response, "A", text);
            assertEquals(MessageBytes.T_STR, response.getMimeHeaders().getValue("A").getType(), text);
        }
        Response response = new Response();
        HeadField.set(response, "A", "id=\"ABC.node1\"; state=same");
        assertEquals(MessageBytes.T_BYTES, response.getMimeHeaders().getValue("A").getType());
    }
}
