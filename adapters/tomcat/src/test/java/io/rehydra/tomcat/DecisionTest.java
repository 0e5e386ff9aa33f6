package io.rehydra.tomcat;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Section 2 of the protocol, case by case, at a backend with the route node2. */
class DecisionTest {

    /**
     * Candidates are written "id" where nothing is known, "id@version" for a local copy under exactly this id, and
     * "id~version" for one under another route; parted by blanks.
     */
    @ParameterizedTest(name = "{0} have={1} state={2} candidates={3}: {4}")
    @CsvSource(nullValues = "-", value = {
        // No id of the tier's, or none that Tomcat would use.
        "-,       -,    false, A.node2@1.1,             run",
        "A.node1, none, false, -,                       run",
        // The tier looked and found nothing: only a local session under exactly this id is used.
        "A.node2, none, false, A.node2@1.1,             use A.node2",
        "A.node1, none, false, A.node1~1.1,             run",
        "A.node1, none, false, A.node1,                 run",
        "A.node2, gone, false, A.node2@1.1,             drop",
        "A.node2, ask,  false, A.node2@1.1,             need A.node2",
        "A.node1, ask,  false, A.node1,                 need A.node1",
        // A version: older, equal, newer than the local copy; with and without a state.
        "A.node2, 1.3,  false, A.node2@1.4,             use A.node2",
        "A.node2, 1.4,  false, A.node2@1.4,             use A.node2",
        "A.node1, 1.4,  false, A.node1~1.4,             use A.node1",
        "A.node2, 1.5,  false, A.node2@1.4,             need A.node2",
        "A.node2, 2.0,  false, A.node2@1.4,             need A.node2",
        "A.node2, 2.0,  true,  A.node2@1.4,             install use A.node2",
        "A.node2, 1.4,  true,  A.node2@1.4,             use A.node2",
        "A.node1, 2.0,  true,  A.node1,                 install use A.node1",
        "A.node1, 2.0,  false, A.node1,                 need A.node1",
        // Without a word: our own route and a known version.
        "A.node2, -,    false, A.node2@1.1,             use A.node2",
        "A.node2, -,    false, A.node2,                 need A.node2",
        "A.node1, -,    false, A.node1~1.1,             need A.node1",
        "A.node2, -,    false, A.node2@0.0,             need A.node2",
        "A.node2, 1.1,  false, A.node2@0.0,             need A.node2",
        "A.node2, none, false, A.node2@0.0,             use A.node2",
        // Several cookies: the first that is known here, else the first.
        "A.node2, -,    false, A.node2 B.node2@1.1,     use B.node2",
        "A.node1, none, false, A.node1 B.node2@1.1,     use B.node2",
        "A.node1, ask,  false, A.node1 B.node2@1.1,     need B.node2",
        "A.node1, ask,  false, A.node1 B.node1,         need A.node1",
        "B.node1, none, false, A.node1 B.node1,         need A.node1",
        "A.node1, 2.0,  false, A.node1 B.node1~1.1,     need B.node1",
        "B.node1, 2.0,  true,  A.node1 B.node1,         install use B.node1",
        "B.node1, 2.0,  true,  A.node2@1.1 B.node1,     install use A.node2",
        "B.node1, 2.0,  true,  A.node2@1.1 B.node1~2.0, use A.node2",
        "B.node1, gone, false, A.node2@1.1 B.node1~1.1, drop use A.node2",
    })
    void decides(String sent, String have, boolean hasState, String candidates, String want) {
        Decision d = Decision.of(sent, Have.parse(have), hasState, parse(candidates), "node2");
        StringBuilder got = new StringBuilder();
        got.append(d.install ? "install " : "").append(d.drop ? "drop " : "");
        got.append(d.need != null ? "need " + d.need : d.use != null ? "use " + d.use : d.drop ? "" : "run");
        assertEquals(want, got.toString().trim());
    }

    private static List<Decision.Candidate> parse(String text) {
        List<Decision.Candidate> candidates = new ArrayList<>();
        for (String word : text == null ? new String[0] : text.split(" ")) {
            String[] parts = word.split("[@~]");
            Version local = parts.length == 1 ? null : Version.parse(parts[1]);
            candidates.add(new Decision.Candidate(parts[0], local, word.contains("@")));
        }
        return candidates;
    }
}
