package rehydra;

import java.io.Serializable;

import javax.servlet.http.HttpSessionActivationListener;
import javax.servlet.http.HttpSessionBindingEvent;
import javax.servlet.http.HttpSessionBindingListener;
import javax.servlet.http.HttpSessionEvent;

/** A session attribute that counts what it is told of its session. */
public class Probe implements Serializable, HttpSessionActivationListener, HttpSessionBindingListener {

    private static final long serialVersionUID = 1;

    private int bound;
    private transient int activated;
    private transient int unbound;

    @Override
    public void sessionWillPassivate(HttpSessionEvent event) {
        throw new IllegalStateException("nothing is passivated");
    }

    @Override
    public void sessionDidActivate(HttpSessionEvent event) {
        activated++;
    }

    @Override
    public void valueBound(HttpSessionBindingEvent event) {
        bound++;
    }

    @Override
    public void valueUnbound(HttpSessionBindingEvent event) {
        unbound++;
    }

    @Override
    public String toString() {
        return "bound=" + bound + ",activated=" + activated + ",unbound=" + unbound;
    }
}
