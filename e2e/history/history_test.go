package history

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"rehydra/e2e/harness"
)

// seed returns the seed of the run: the test's own, or that of the environment.
func seed(t *testing.T, own uint64) uint64 {
	t.Helper()
	text := os.Getenv("REHYDRA_SEED")
	if text == "" {
		return own
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("cannot read REHYDRA_SEED %q: wanted a number", text)
	}
	return n
}

// TestHistory is a short run of everything; soak_test.go has the long one.
func TestHistory(t *testing.T) { everything(t, seed(t, 3), 8*time.Second) }

// everything runs all kinds of trouble at once and judges what the users saw.
func everything(t *testing.T, seed uint64, length time.Duration) {
	t.Logf("seed %d", seed)
	c := newCluster(t)
	u := startUsers(c, seed)
	lanes := []*lane{c.backendLane(seed), c.proxyLane(seed), c.storeLane(seed, u)}
	c.trouble(u, length, lanes...)
	wrong := verdict(t, c, u)
	for _, h := range wrong {
		t.Errorf("not the history of one counter:\n%s", show(h, 40))
	}
	for _, l := range lanes {
		t.Logf("%-9s killed %d times, paused %d times", l.name, l.done["killed"], l.done["paused"])
		if l.done["killed"]+l.done["paused"] == 0 {
			t.Errorf("nothing happened to any %s", l.name)
		}
	}
}

// TestPausedOwners pauses backends together with a proxy, the case that fencing is for.
func TestPausedOwners(t *testing.T) {
	for _, h := range pausedOwners(t, 4*time.Second) {
		t.Errorf("not the history of one counter:\n%s", show(h, 40))
	}
}

// TestUnfenced is TestPausedOwners with a proxy that does not fence. If the judge finds nothing to complain about, it finds nothing in
// the other tests either.
func TestUnfenced(t *testing.T) {
	harness.UseBinary(t, harness.Build(t, "rehydra/cmd/rehydra", "-tags", "unfenced"))
	for range 5 { // a slow machine makes few late saves
		if wrong := pausedOwners(t, 4*time.Second); len(wrong) > 0 {
			t.Logf("%d sessions with a violation, as expected; one of them:\n%s", len(wrong), show(wrong[0], 12))
			return
		}
	}
	t.Fatal("every history is that of one counter, wanted violations: nothing refuses late saves")
}

func pausedOwners(t *testing.T, length time.Duration) [][]operation {
	t.Helper()
	seed := seed(t, 3)
	t.Logf("seed %d", seed)
	c := newCluster(t)
	u := startUsers(c, seed)
	c.trouble(u, length, c.ownerLane(seed))
	return verdict(t, c, u)
}

// verdict ends the run and returns the histories that are not those of one counter, each up to where that shows.
func verdict(t *testing.T, c *cluster, u *users) (wrong [][]operation) {
	t.Helper()
	sessions, err := u.finish()
	if err != nil {
		t.Error(err)
	}
	if len(u.problems) > 0 {
		t.Errorf("answers that no fault explains:\n%s", strings.Join(u.problems, "\n"))
	}
	began := time.Now()
	var reads, increments, unknown int
	for _, s := range sessions {
		for _, o := range s.history {
			switch {
			case o.unknown:
				unknown++
			case o.read:
				reads++
			default:
				increments++
			}
		}
		switch judge(s.history) {
		case porcupine.Ok:
		case porcupine.Illegal:
			wrong = append(wrong, shortest(s.history))
		default:
			t.Errorf("a history of %d calls takes too long to judge", len(s.history))
		}
	}
	t.Logf("%d sessions: %d reads and %d increments answered, %d increments open; late saves refused: %.0f; judged in %v",
		len(sessions), reads, increments, unknown, c.fenced+c.count("rehydra_session_fenced_total"), time.Since(began).Round(time.Millisecond))
	if reads < 100 || increments < 100 {
		t.Errorf("%d reads and %d increments were answered, wanted 100 of each at least", reads, increments)
	}
	return wrong
}
