package protocol

import "testing"

// Between an answer and the read that it makes necessary, another proxy gives the backend another copy, under a newer generation: what the answer has
// seen or changed is on no copy, and must not be acknowledged. A later version of the same generation holds it.
func TestReadOfAnotherCopy(t *testing.T) {
	t.Parallel()
	const id = "OVER.node1"
	for _, c := range []struct {
		name         string
		answer, read reply
		status       int
		fenced       float64
	}{
		{"seen, another copy", same(id, "1.2"), readAnswer(id, "2.0", "theirs"), 503, 1},
		{"seen, another copy, unchanged", same(id, "1.2"), same(id, "2.0").as("304 Not Modified"), 503, 1},
		{"changed, another copy", pull(id, "1.2"), readAnswer(id, "2.1", "theirs"), 503, 1},
		{"seen, stored already", same(id, "1.1"), readAnswer(id, "2.0", "theirs"), 200, 0},
		{"seen, a later version", same(id, "1.2"), readAnswer(id, "1.3", "later"), 200, 0},
		{"changed, a later version", pull(id, "1.2"), readAnswer(id, "1.3", "later"), 200, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := startScript(t, "node1", script{
				"/new": always(inline(id, "1.1", "first")), "/": always(c.answer), "read": always(c.read),
			})
			g := newRig(t, []*backend{b}, session(`save = "sync"`))
			g.get("/new", "0.node1")
			if r := g.send(query{target: "/", cookie: id}); r.status != c.status {
				t.Errorf("status %d, wanted %d", r.status, c.status)
			}
			g.wantCounter("fenced", c.fenced)
		})
	}
}
