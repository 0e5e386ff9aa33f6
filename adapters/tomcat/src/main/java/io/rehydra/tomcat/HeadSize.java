package io.rehydra.tomcat;

import org.apache.catalina.connector.Request;
import org.apache.tomcat.util.http.MimeHeaders;

/** The size of a response's head: Tomcat answers 500 for one that is larger than its connector allows. */
final class HeadSize {

    /** The default of maxHttpHeaderSize (maxHttpResponseHeaderSize in newer versions) and of an AJP packet, bytes. */
    private static final int LIMIT = 8192;

    /** Kept free for the status line and the fields that the connector adds itself: Content-Type, Date, Server, Keep-Alive and so on. */
    private static final int RESERVE = 1024;

    private HeadSize() {
    }

    /** Whether that many more bytes fit into the head of the response. */
    static boolean fits(Request request, int more) {
        MimeHeaders headers = request.getResponse().getCoyoteResponse().getMimeHeaders();
        int size = RESERVE + more;
        for (int i = 0; i < headers.size(); i++) {
            size += headers.getName(i).getLength() + headers.getValue(i).getLength() + 4;
        }
        return size <= LIMIT;
    }
}
