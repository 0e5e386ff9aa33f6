package rehydra;

import java.io.FileWriter;
import java.io.IOException;
import java.io.Writer;

/** What the pages know of the Tomcat that runs them. A class, since the JSP compilers of Tomcat 7 and 8.5 cannot read java.lang.System of newer JDKs. */
public final class Node {

    private Node() {
    }

    public static String name() {
        return System.getProperty("e2e.node");
    }

    /** Adds a line to a file of this node: the application really ran. */
    public static synchronized void executed(String what) throws IOException {
        try (Writer file = new FileWriter(System.getProperty("e2e.executed"), true)) {
            file.write(what + "\n");
        }
    }
}
