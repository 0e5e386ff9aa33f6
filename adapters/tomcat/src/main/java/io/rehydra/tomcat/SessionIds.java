package io.rehydra.tomcat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

import javax.servlet.SessionTrackingMode;
import javax.servlet.http.Cookie;

import org.apache.catalina.Context;
import org.apache.catalina.connector.Request;
import org.apache.catalina.util.SessionConfig;
import org.apache.tomcat.util.buf.ByteChunk;
import org.apache.tomcat.util.buf.MessageBytes;
import org.apache.tomcat.util.http.MimeHeaders;

/** The session ids of a request in the order in which Tomcat tries them. */
final class SessionIds {

    private SessionIds() {
    }

    /**
     * All cookies of the context's session cookie name from left to right; without any, the id of the path parameter. A
     * cookie wins over the path in Tomcat, even one that names no session. What is not safe as an id is left out.
     */
    static List<String> of(Request request) {
        String only = onlyCookie(request);
        return only != null ? Collections.singletonList(only) : all(request);
    }

    /**
     * The id that Tomcat took from a cookie, where there can be no other cookie of that name: the name is in the field Cookie only once. For the
     * list of cookies Tomcat makes an object and two texts of each.
     */
    private static String onlyCookie(Request request) {
        String id = request.isRequestedSessionIdFromCookie() ? request.getRequestedSessionId() : null;
        if (!SessionId.isSafe(id)) {
            return null;
        }
        String name = SessionConfig.getSessionCookieName(request.getContext());
        return isOnce(name, request.getCoyoteRequest().getMimeHeaders()) ? id : null;
    }

    /** Whether the name is just once in the fields Cookie, as the name of a cookie or as anything else. */
    static boolean isOnce(String name, MimeHeaders headers) {
        int seen = 0;
        for (int at = headers.findHeader("Cookie", 0); at >= 0; at = headers.findHeader("Cookie", at + 1)) {
            MessageBytes value = headers.getValue(at);
            if (value.getType() != MessageBytes.T_BYTES) {
                return false;
            }
            ByteChunk bytes = value.getByteChunk();
            for (int i = bytes.indexOf(name, 0, name.length(), 0); i >= 0; i = bytes.indexOf(name, 0, name.length(), i + 1)) {
                seen++;
            }
        }
        return seen == 1;
    }

    private static List<String> all(Request request) {
        Context context = request.getContext();
        List<String> ids = new ArrayList<>(1);
        if (context.getServletContext().getEffectiveSessionTrackingModes().contains(SessionTrackingMode.COOKIE)) {
            Cookie[] cookies = request.getCookies();
            if (cookies != null) {
                String name = SessionConfig.getSessionCookieName(context);
                for (Cookie cookie : cookies) {
                    if (name.equals(cookie.getName()) && SessionId.isSafe(cookie.getValue())) {
                        ids.add(cookie.getValue());
                    }
                }
            }
        }
        if (ids.isEmpty() && request.isRequestedSessionIdFromURL() && SessionId.isSafe(request.getRequestedSessionId())) {
            ids.add(request.getRequestedSessionId());
        }
        return ids;
    }
}
