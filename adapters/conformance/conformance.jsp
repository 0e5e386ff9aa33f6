<%@ page session="false" contentType="text/plain; charset=utf-8" buffer="64kb" autoFlush="true"
%><%
// The conformance test's application for servlet containers; README.md says what it has to do. It names no class of the
// servlet API, so that it runs under javax and jakarta.
String op = request.getParameter("op") == null ? "show" : request.getParameter("op");
String k = request.getParameter("k");
String v = request.getParameter("v");

int calls;
synchronized (application) {
    Object before = application.getAttribute("conformance.calls");
    calls = before == null ? 1 : ((Integer) before).intValue() + 1;
    application.setAttribute("conformance.calls", Integer.valueOf(calls));
}

long body = 0;
byte[] buffer = new byte[8192];
for (int n; (n = request.getInputStream().read(buffer)) > 0; ) {
    body += n;
}

if (request.getParameter("status") != null) {
    int status = Integer.parseInt(request.getParameter("status"));
    response.setStatus(status);
    if (status / 100 == 3) {
        response.setHeader("Location", "/");
    }
}

char[] lines = new char[32 * 1024];
java.util.Arrays.fill(lines, '\n');
boolean change = true;
if (op.equals("late") || op.equals("late-invalidate")) {
    out.write(lines);
    out.flush();
    response.flushBuffer();
    change = op.equals("late-invalidate") || k != null;
    op = op.equals("late") ? "set" : "invalidate";
} else if (op.equals("fixed")) {
    response.setContentLength(lines.length);
    out.write(lines);
    out.flush();
    response.flushBuffer();
    if (request.getParameter("ms") != null) {
        Thread.sleep(Long.parseLong(request.getParameter("ms")));
    }
    request.getSession().setAttribute(k, v);
    return;
}

if (!change || op.equals("show")) {
    // nothing to do
} else if (op.equals("set")) {
    request.getSession().setAttribute(k, v);
} else if (op.equals("append")) {
    @SuppressWarnings("unchecked")
    java.util.List<String> list = (java.util.List<String>) request.getSession().getAttribute(k);
    if (list == null) {
        list = java.util.Collections.synchronizedList(new java.util.ArrayList<String>());
        request.getSession().setAttribute(k, list);
    }
    list.add(v);
} else if (op.equals("big")) {
    char[] text = new char[Integer.parseInt(request.getParameter("n"))];
    java.util.Arrays.fill(text, 'x');
    request.getSession().setAttribute(k, new String(text));
} else if (op.equals("delete")) {
    request.getSession().removeAttribute(k);
} else if (op.equals("renew")) {
    try { // Servlet 3.1: Tomcat 8 and later
        request.getClass().getMethod("changeSessionId").invoke(request);
    } catch (NoSuchMethodException e) {
        response.sendError(501);
        return;
    }
} else if (op.equals("invalidate")) {
    request.getSession().invalidate();
} else if (op.equals("start-over")) {
    request.getSession().invalidate();
    request.getSession().setAttribute(k, v);
} else {
    response.sendError(500, "op is unknown");
    return;
}

if (response.getStatus() == 204) {
    return;
}
out.print("calls " + calls + "\nbody " + body + "\n");
if (request.getSession(false) == null) {
    out.print("session none\n");
} else {
    out.print("session " + request.getSession(false).getId() + "\ncreated " + request.getSession(false).getCreationTime() + "\n");
    for (java.util.Enumeration<String> names = request.getSession(false).getAttributeNames(); names.hasMoreElements(); ) {
        String name = names.nextElement();
        Object value = request.getSession(false).getAttribute(name);
        String text = String.valueOf(value);
        if (value instanceof java.util.List) {
            text = text.substring(1, text.length() - 1).replace(", ", ",");
        }
        out.print(text.length() > 200 ? "size " + name + " " + text.length() + "\n" : "value " + name + " " + text + "\n");
    }
}
%>
