package io.rehydra.tomcat;

import java.util.regex.Pattern;

import org.apache.catalina.Globals;
import org.apache.catalina.Manager;
import org.apache.catalina.session.ManagerBase;

/**
 * Which attributes of a session are kept: the valve's sessionAttributeFilter, and the manager's own sessionAttributeNameFilter and
 * sessionAttributeValueClassNameFilter, as Tomcat applies them to what it saves to disk.
 */
final class AttributeFilter {

    /** Whether managers have filters: not in early 7.0. */
    private static final boolean MANAGERS_FILTER = managersFilter();

    private final Pattern kept;
    private final String nameText;
    private final String classText;
    private final Pattern name;
    private final Pattern className;
    private final boolean warn;

    private AttributeFilter(Pattern kept, String nameText, String classText, boolean warn) {
        this.kept = kept;
        this.nameText = nameText;
        this.classText = classText;
        this.name = nameText == null || nameText.isEmpty() ? null : Pattern.compile(nameText);
        this.className = classText == null || classText.isEmpty() ? null : Pattern.compile(classText);
        this.warn = warn;
    }

    /**
     * The filter of a valve and a manager; the last one is given back if it still says the same, so that patterns are compiled once.
     *
     * @param kept matches the names that the valve keeps; null: all
     */
    static AttributeFilter of(Pattern kept, Manager manager, AttributeFilter last) {
        if (!(manager instanceof ManagerBase) || !MANAGERS_FILTER) {
            return new AttributeFilter(kept, null, null, false);
        }
        ManagerBase base = (ManagerBase) manager;
        String nameText = base.getSessionAttributeNameFilter();
        String classText = base.getSessionAttributeValueClassNameFilter();
        boolean warn = base.getWarnOnSessionAttributeFilterFailure();
        if (last != null && same(last.nameText, nameText) && same(last.classText, classText) && last.warn == warn) {
            return last;
        }
        return new AttributeFilter(kept, nameText, classText, warn);
    }

    private static boolean managersFilter() {
        try {
            ManagerBase.class.getMethod("getSessionAttributeNameFilter");
            ManagerBase.class.getMethod("getSessionAttributeValueClassNameFilter");
            ManagerBase.class.getMethod("getWarnOnSessionAttributeFilterFailure");
            return true;
        } catch (NoSuchMethodException e) {
            return false;
        }
    }

    private static boolean same(String a, String b) {
        return a == null ? b == null : a.equals(b);
    }

    boolean allowsName(String attribute) {
        boolean tomcatsOwn = Globals.SUBJECT_ATTR.equals(attribute) || Globals.GSS_CREDENTIAL_ATTR.equals(attribute);
        return !tomcatsOwn && matches(kept, attribute) && matches(name, attribute);
    }

    boolean allowsClass(Class<?> type) {
        return matches(className, type.getName());
    }

    private static boolean matches(Pattern pattern, String text) {
        return pattern == null || pattern.matcher(text).matches();
    }

    /** The pattern that every class inside a value must match, or null. */
    Pattern classNames() {
        return className;
    }

    /** Whether the operator wants to hear of refused attributes (warnOnSessionAttributeFilterFailure). */
    boolean warns() {
        return warn;
    }
}
