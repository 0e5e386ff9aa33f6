package io.rehydra.tomcat;

import java.util.ArrayList;
import java.util.List;

import javax.servlet.SessionTrackingMode;
import javax.servlet.http.Cookie;

import org.apache.catalina.Context;
import org.apache.catalina.connector.Request;
import org.apache.catalina.util.SessionConfig;

/** The session ids of a request in the order in which Tomcat tries them. */
final class SessionIds {

    private SessionIds() {
    }

    /**
     * All cookies of the context's session cookie name from left to right; without any, the id of the path parameter. A
     * cookie wins over the path in Tomcat, even one that names no session. What is not safe as an id is left out.
     */
    static List<String> of(Request request) {
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
