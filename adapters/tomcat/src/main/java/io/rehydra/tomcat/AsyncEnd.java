package io.rehydra.tomcat;

import javax.servlet.AsyncEvent;
import javax.servlet.AsyncListener;

/** Ends the exchange of an asynchronous request: Tomcat completes it before it writes the rest of the response. */
final class AsyncEnd implements AsyncListener {

    private final Exchange exchange;

    AsyncEnd(Exchange exchange) {
        this.exchange = exchange;
    }

    @Override
    public void onComplete(AsyncEvent event) {
        exchange.end();
    }

    @Override
    public void onStartAsync(AsyncEvent event) {
        // A new cycle begins without the listeners of the last one.
        event.getAsyncContext().addListener(this);
    }

    @Override
    public void onTimeout(AsyncEvent event) {
        // Tomcat completes the request next.
    }

    @Override
    public void onError(AsyncEvent event) {
        // Tomcat completes the request next.
    }
}
