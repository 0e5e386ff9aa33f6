package io.rehydra.tomcat;

import org.apache.catalina.Context;

/** What the adapter keeps of one web application while it runs. */
final class Application {

    final SessionCodec codec;
    private final Context context;
    private volatile String name;

    Application(Context context, SessionCodec codec) {
        this.context = context;
        this.codec = codec;
    }

    /** Its name in the protocol, see {@link Protocol#app}; neither host nor path changes while it runs. */
    String name() {
        String known = name;
        if (known == null) {
            known = Protocol.app(context.getParent().getName(), context.getPath());
            name = known;
        }
        return known;
    }
}
