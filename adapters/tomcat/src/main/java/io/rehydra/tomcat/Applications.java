package io.rehydra.tomcat;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

import org.apache.catalina.Context;
import org.apache.catalina.Lifecycle;
import org.apache.catalina.LifecycleEvent;
import org.apache.catalina.LifecycleListener;

/**
 * A codec for each web application of a valve. A serializer knows the application's classes, so it must go when the application
 * stops: a valve of a Host outlives it, and would keep the old classes of every application that is deployed anew.
 */
final class Applications implements LifecycleListener {

    private final Supplier<SessionCodec> make;
    private final Map<Context, SessionCodec> codecs = new ConcurrentHashMap<>();

    Applications(Supplier<SessionCodec> make) {
        this.make = make;
    }

    SessionCodec codec(Context context) {
        SessionCodec codec = codecs.get(context);
        return codec != null ? codec : codecs.computeIfAbsent(context, added -> {
            added.addLifecycleListener(this);
            return make.get();
        });
    }

    @Override
    public void lifecycleEvent(LifecycleEvent event) {
        if (Lifecycle.AFTER_STOP_EVENT.equals(event.getType())) {
            codecs.remove(event.getLifecycle());
            event.getLifecycle().removeLifecycleListener(this);
        }
    }

    /** The valve stops: the applications may go on without it. */
    void clear() {
        for (Context context : codecs.keySet()) {
            context.removeLifecycleListener(this);
        }
        codecs.clear();
    }
}
