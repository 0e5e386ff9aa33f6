package io.rehydra.tomcat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicLong;

import org.junit.jupiter.api.Test;

class ReportTest {

    @Test
    void writesTheField() {
        Report report = Report.of(Report.Kind.SAME, "ABC.node2", null, new Version(2, 8), 1800);
        assertEquals("id=\"ABC.node2\"; app=\"localhost/shop\"; version=2.8; ttl=1800; state=same", report.header("localhost/shop"));
        Report renewed = Report.changed("DEF.node2", "ABC.node2", new Version(2, 9), -1, new byte[] {-1, -2});
        assertEquals("id=\"DEF.node2\"; was=\"ABC.node2\"; app=\"localhost/\"; version=2.9; ttl=-1; state=inline",
                renewed.header("localhost/"));
        assertEquals("__4", renewed.stateText());
        assertNull(renewed.as(Report.Kind.PULL).state());
    }

    @Test
    void neverTellsAnUnknownVersion() {
        assertTrue(Report.of(Report.Kind.LATE, "A", null, Version.UNKNOWN, 1).header("a").contains("version=1.1;"));
    }

    @Test
    void namesTheApp() {
        assertEquals("localhost/shop", Protocol.app("localhost", "/shop"));
        assertEquals("localhost/", Protocol.app("localhost", ""));
        assertEquals("localhost/a%22b%20%c3%bc%25", Protocol.app("localhost", "/a\"b ü%"));
    }

    @Test
    void partsIds() {
        assertEquals("ABC-n1", SessionId.base("ABC-n1.node1"));
        assertEquals("node.1", SessionId.route("ABC.node.1"));
        assertEquals("", SessionId.route("ABC"));
        assertEquals("ABC", SessionId.join("ABC", ""));
        assertEquals("ABC.node1", SessionId.withRoute("ABC.node1", "node1"));
        assertEquals("ABC.node1", SessionId.withRoute("ABC.xnode1", "node1"));
        assertEquals("ABC.node1", SessionId.withRoute("ABC.node2", "node1"));
        assertEquals("ABC.node1", SessionId.withRoute("ABC", "node1"));
        assertEquals("ABC.1", SessionId.withRoute("ABC.node.1", "1"));
        assertEquals("ABC", SessionId.withRoute("ABC.", ""));
        assertEquals("ABC", SessionId.withRoute("ABC.node1", ""));
        assertTrue(SessionId.sameBase("ABC.node1", "ABC.node2") && SessionId.sameBase("ABC", "ABC.a.b"));
        assertFalse(SessionId.sameBase("ABC.node1", "ABD.node1") || SessionId.sameBase("ABC", "ABCD") || SessionId.sameBase("AB.C", "ABC"));
        assertTrue(SessionId.isSafe("ABC-n1.node1"));
        for (String unsafe : new String[] {null, "", ".node1", "a b", "a\"b", "a\\b", "a\r\nb", "ä", new String(new char[251]).replace('\0', 'a')}) {
            assertFalse(SessionId.isSafe(unsafe), unsafe);
        }
    }

    @Test
    void forgetsEndsAfterAMinute() {
        AtomicLong now = new AtomicLong();
        EndedSessions ended = new EndedSessions(now::get);
        ended.add("localhost/shop", "A.node1");
        now.set(60_000_000_000L);
        assertTrue(ended.contains("localhost/shop", "A.node2"));
        assertFalse(ended.contains("localhost/other", "A.node1"));
        now.set(60_000_000_001L);
        assertFalse(ended.contains("localhost/shop", "A.node1"));
    }

    @Test
    void remembersTenThousandEndsAtMost() {
        EndedSessions ended = new EndedSessions(() -> 0);
        for (int i = 0; i <= 10_000; i++) {
            ended.add("app", "S" + i);
        }
        assertFalse(ended.contains("app", "S0"));
        assertTrue(ended.contains("app", "S1"));
        assertTrue(ended.contains("app", "S10000"));
    }
}
