package io.rehydra.tomcat;

import org.apache.catalina.connector.Request;
import org.apache.coyote.ActionCode;
import org.apache.coyote.ActionHook;
import org.apache.coyote.Response;

/**
 * Stands between a response and Tomcat's connector and sees the two moments that matter: just before the head is written,
 * and just before the body ends. That is later than any reset of the response, any forward and any error page, which is why
 * the adapter's header fields are set here and not in the valve.
 *
 * <p>It holds on to no exchange: the exchange is a note of the request, which Tomcat clears when the request is over.
 */
final class CommitHook implements ActionHook {

    private final ActionHook next;
    private final Request request;
    private final Internals internals;

    private CommitHook(ActionHook next, Request request, Internals internals) {
        this.next = next;
        this.request = request;
        this.internals = internals;
    }

    static void install(Request request, Internals internals) {
        Response response = request.getResponse().getCoyoteResponse();
        ActionHook hook = internals.hook(response);
        // One of an aborted request may still be there.
        ActionHook connector = hook instanceof CommitHook ? ((CommitHook) hook).next : hook;
        internals.setHook(response, new CommitHook(connector, request, internals));
    }

    @Override
    public void action(ActionCode code, Object param) {
        if (code != ActionCode.COMMIT && code != ActionCode.CLOSE) {
            // There are some thirty of them in a request.
            next.action(code, param);
            return;
        }
        Exchange exchange = Exchange.of(request);
        if (exchange != null) {
            exchange.beforeHead();
        }
        if (code == ActionCode.COMMIT) {
            next.action(code, param);
        } else if (exchange == null || !exchange.holdsEnd()) {
            close();
        }
    }

    /** Ends the response's body and steps out of the way. */
    private void close() {
        Response response = request.getResponse().getCoyoteResponse();
        next.action(ActionCode.CLOSE, null);
        internals.setHook(response, next);
    }
}
