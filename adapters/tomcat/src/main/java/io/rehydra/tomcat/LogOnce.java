package io.rehydra.tomcat;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

import org.apache.juli.logging.Log;

/** Warns of each thing once: an attribute that cannot be kept is met at every request. */
final class LogOnce {

    /** Things remembered; names that are made up at run time must not fill the memory. */
    private static final int LIMIT = 1000;

    private final Log log;
    private final Set<String> said = ConcurrentHashMap.newKeySet();

    LogOnce(Log log) {
        this.log = log;
    }

    /** Warns, unless this was said before or a thousand other things were. */
    void warn(String message) {
        if (said.size() < LIMIT && said.add(message)) {
            log.warn(message);
        }
    }

    Log log() {
        return log;
    }
}
