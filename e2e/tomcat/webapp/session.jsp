<%-- What a test can do to a session, and what the session looks like afterwards, as lines of "name value". The first part is the
     application that adapters/conformance wants; the rest is for the walks through the proxy. No servlet package is named
     here, so that Tomcat 7 to 11 compile it alike. --%><%@ page session="false" contentType="text/plain;charset=UTF-8" import="java.util.*,java.io.*"
%><%!
    private static final int EARLY = 32 * 1024;
    private final java.util.concurrent.atomic.AtomicLong calls = new java.util.concurrent.atomic.AtomicLong();
    /** What the parameter hold names of requests whose body has begun and not ended. */
    private final Set<String> held = Collections.synchronizedSet(new TreeSet<String>());

    private static String newlines(int n) {
        char[] text = new char[n];
        Arrays.fill(text, '\n');
        return new String(text);
    }

    private static String print(String name, Object value) {
        String text = String.valueOf(value);
        if (value instanceof List) {
            text = text.substring(1, text.length() - 1).replace(", ", ",");
        }
        return text.length() > 200 ? "size " + name + " " + text.length() : "value " + name + " " + text;
    }
%><%
    long call = calls.incrementAndGet();
    String op = request.getParameter("op") == null ? "show" : request.getParameter("op");
    String k = request.getParameter("k");
    String v = request.getParameter("v");

    long body = 0;
    byte[] buffer = new byte[8192];
    InputStream in = request.getInputStream();
    String hold = request.getParameter("hold");
    try {
        for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
            body += n;
            if (hold != null) {
                held.add(hold);
            }
        }
    } finally {
        if (hold != null) {
            held.remove(hold);
        }
    }

    if (op.equals("late") || op.equals("late-invalidate")) {
        out.write(newlines(EARLY));
        out.flush();
    }
    if (op.equals("fixed")) {
        response.setContentLength(EARLY);
        out.write(newlines(EARLY));
        out.flush();
    }
    if (request.getParameter("ms") != null) {
        Thread.sleep(Long.parseLong(request.getParameter("ms")));
    }

    switch (op) {
        case "show":
            break;
        case "touch":
            request.getSession();
            break;
        case "set":
        case "fixed":
            request.getSession().setAttribute(k, v);
            break;
        case "late":
            if (k != null) {
                request.getSession().setAttribute(k, v);
            }
            break;
        case "append": {
            // Changed in place after the first time: no setAttribute tells of it.
            @SuppressWarnings("unchecked")
            List<String> list = (List<String>) request.getSession().getAttribute(k);
            if (list == null) {
                list = new ArrayList<String>();
                request.getSession().setAttribute(k, list);
            }
            list.add(v);
            break;
        }
        case "count": {
            // One number a request, written down where the session is not.
            synchronized (application) {
                Integer count = (Integer) request.getSession().getAttribute("count");
                request.getSession().setAttribute("count", count == null ? 1 : count + 1);
            }
            rehydra.Node.executed(request.getParameter("request"));
            break;
        }
        case "big": {
            char[] text = new char[Integer.parseInt(request.getParameter("n"))];
            Arrays.fill(text, 'x');
            request.getSession().setAttribute(k, new String(text));
            break;
        }
        case "delete":
            request.getSession().removeAttribute(k);
            break;
        case "renew":
            try {
                request.getSession();
                request.getClass().getMethod("changeSessionId").invoke(request);
            } catch (NoSuchMethodException e) {
                // Servlet 3.0 cannot.
                response.sendError(501);
                return;
            }
            break;
        case "invalidate":
        case "late-invalidate":
            request.getSession().invalidate();
            break;
        case "start-over":
            request.getSession().invalidate();
            request.getSession(true).setAttribute(k, v);
            break;
        case "ttl":
            request.getSession().setMaxInactiveInterval(Integer.parseInt(v));
            break;
        case "unserializable":
            request.getSession().setAttribute(k, new Object() {
                @Override
                public String toString() {
                    return "here";
                }
            });
            break;
        case "basket": {
            rehydra.Basket basket = (rehydra.Basket) request.getSession().getAttribute("basket");
            if (basket == null) {
                basket = new rehydra.Basket();
                request.getSession().setAttribute("basket", basket);
            }
            basket.add(v);
            break;
        }
        case "probe":
            request.getSession().setAttribute("probe", new rehydra.Probe());
            break;
        case "reset":
            request.getSession().setAttribute(k, v);
            response.setHeader("X-Lost", "1");
            response.reset();
            break;
        case "forward":
            request.getSession().setAttribute(k, v);
            request.getRequestDispatcher("/session?op=show").forward(request, response);
            return;
        case "close":
            // The application ends its response itself and changes the session after that.
            response.getWriter().write("closed\n");
            response.flushBuffer();
            response.getWriter().close();
            request.getSession().setAttribute(k, v);
            return;
        case "error":
            request.getSession().setAttribute(k, v);
            response.sendError(Integer.parseInt(request.getParameter("code")));
            return;
        case "throw":
            request.getSession().setAttribute(k, v);
            throw new IllegalStateException("thrown on purpose");
        case "header":
            break;
        default:
            throw new IllegalArgumentException("op " + op + " is unknown");
    }
    if (op.equals("fixed")) {
        return;
    }
    if (request.getParameter("status") != null) {
        int status = Integer.parseInt(request.getParameter("status"));
        response.setStatus(status);
        if (status / 100 == 3) {
            response.setHeader("Location", request.getContextPath() + "/session");
        }
        if (status == 204) {
            return;
        }
    }

    StringBuilder lines = new StringBuilder();
    try {
        if (request.getSession(false) == null) {
            lines.append("session none\n");
        } else {
            lines.append("session ").append(request.getSession(false).getId()).append('\n');
            lines.append("created ").append(request.getSession(false).getCreationTime()).append('\n');
            lines.append("new ").append(request.getSession(false).isNew()).append('\n');
            lines.append("ttl ").append(request.getSession(false).getMaxInactiveInterval()).append('\n');
            for (Enumeration<String> names = request.getSession(false).getAttributeNames(); names.hasMoreElements();) {
                String name = names.nextElement();
                lines.append(print(name, request.getSession(false).getAttribute(name))).append('\n');
            }
        }
    } catch (IllegalStateException e) {
        lines.append("session none\n");
    }
    lines.append("node ").append(rehydra.Node.name()).append('\n');
    lines.append("user ").append(request.getRemoteUser()).append('\n');
    lines.append("customer ").append(request.isUserInRole("customer")).append('\n');
    for (Enumeration<String> names = request.getHeaderNames(); op.equals("header") && names.hasMoreElements();) {
        lines.append("header ").append(names.nextElement()).append('\n');
    }
    lines.append("calls ").append(call).append('\n').append("body ").append(body).append('\n');
    lines.append("held ").append(held).append('\n');
    out.write(lines.toString());
%>
