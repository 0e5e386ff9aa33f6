package rehydra;

import java.io.IOException;

import javax.servlet.AsyncContext;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;

/**
 * An asynchronous servlet: sets an attribute k=v on another thread, after the container's own has left. With flush=1 the
 * response has begun by then; with dispatch=1 /session answers in the end.
 */
public class Later extends HttpServlet {

    private static final long serialVersionUID = 1;

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        String k = request.getParameter("k");
        String v = request.getParameter("v");
        boolean dispatch = request.getParameter("dispatch") != null;
        response.setContentType("text/plain;charset=UTF-8");
        request.getSession();
        if (request.getParameter("flush") != null) {
            response.getWriter().write("begun\n");
            response.flushBuffer();
        }
        AsyncContext async = request.startAsync();
        Thread thread = new Thread(() -> {
            request.getSession().setAttribute(k, v);
            if (dispatch) {
                async.dispatch("/session?op=set&k=dispatched&v=yes");
                return;
            }
            try {
                response.getWriter().write("done\n");
            } catch (IOException e) {
                log("cannot write", e);
            }
            async.complete();
        });
        thread.start();
    }
}
