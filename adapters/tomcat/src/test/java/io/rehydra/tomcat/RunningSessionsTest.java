package io.rehydra.tomcat;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

import org.junit.jupiter.api.Test;

class RunningSessionsTest {

    @Test
    void countsRequestsOfABaseId() {
        RunningSessions running = new RunningSessions();
        RunningSessions.Entry first = running.enter("localhost/shop", "ABC.node1");
        RunningSessions.Entry second = running.enter("localhost/shop", "ABC.node2");
        assertTrue(running.contains("localhost/shop", "ABC"));
        assertFalse(running.contains("localhost/", "ABC.node1") || running.contains("localhost/shop", "XABC.node1") || running.contains("localhost/shop", "A"));
        running.leave(first);
        running.leave(first);
        assertTrue(running.contains("localhost/shop", "ABC.node3"));
        running.leave(second);
        assertFalse(running.contains("localhost/shop", "ABC.node1"));
    }

    @Test
    void keepsManyApart() {
        RunningSessions running = new RunningSessions();
        List<RunningSessions.Entry> entries = new ArrayList<>();
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < 1000; i++) {
            entries.add(running.enter("app", "S" + i + ".node1"));
            order.add(i);
        }
        Collections.shuffle(order, new Random(1));
        for (int i : order) {
            assertTrue(running.contains("app", "S" + i));
            running.leave(entries.get(i));
            assertFalse(running.contains("app", "S" + i));
        }
    }
}
