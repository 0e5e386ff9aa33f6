package io.rehydra.tomcat;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

import org.apache.catalina.Context;
import org.apache.catalina.Lifecycle;
import org.apache.catalina.LifecycleEvent;
import org.apache.catalina.LifecycleListener;

/**
 * The web applications of a valve, and a codec for each. A serializer knows the application's classes, so it must go when the application
 * stops: a valve of a Host outlives it, and would keep the old classes of every application that is deployed anew.
 */
final class Applications implements LifecycleListener {

    private final Supplier<SessionCodec> make;
    private final Map<Context, Application> applications = new ConcurrentHashMap<>();

    Applications(Supplier<SessionCodec> make) {
        this.make = make;
    }

    Application of(Context context) {
        Application known = applications.get(context);
        return known != null ? known : applications.computeIfAbsent(context, added -> {
            added.addLifecycleListener(this);
            return new Application(added, make.get());
        });
    }

    @Override
    public void lifecycleEvent(LifecycleEvent event) {
        if (Lifecycle.AFTER_STOP_EVENT.equals(event.getType())) {
            applications.remove(event.getLifecycle());
            event.getLifecycle().removeLifecycleListener(this);
        }
    }

    /** The valve stops: the applications may go on without it. */
    void clear() {
        for (Context context : applications.keySet()) {
            context.removeLifecycleListener(this);
        }
        applications.clear();
    }
}
