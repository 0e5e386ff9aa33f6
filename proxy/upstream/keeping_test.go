package upstream

import (
	"testing"
	"time"
)

func TestKeeping(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	at := func(d time.Duration) time.Time { return time.Unix(1000, 0).Add(d) }
	type step struct {
		open, closed time.Duration // of them, the one that is not 0; -1: closed at once
		at           time.Duration
	}
	for _, tc := range []struct {
		name  string
		steps []step
		when  time.Duration
		want  time.Duration
	}{
		{"nothing was seen", nil, 0, 0},
		{"half of what was seen open", []step{{open: 10 * s}}, 0, 5 * s},
		{"less a sweep", []step{{open: 3 * s}}, 0, s},
		{"less than a sweep", []step{{open: s}}, 0, 0},
		{"the oldest counts", []step{{open: 10 * s}, {open: 4 * s}}, 0, 5 * s},
		{"a close counts at once", []step{{open: 10 * s}, {closed: 6 * s}}, ms, 3 * s},
		{"the earliest close counts", []step{{open: 10 * s}, {closed: 4 * s}, {closed: 6 * s}}, ms, 2 * s},
		{"a close outweighs what stayed open", []step{{closed: 4 * s}, {open: 10 * s}}, ms, 2 * s},
		{"until it is long ago", []step{{closed: 4 * s}, {open: 10 * s}}, closingHolds + ms, 5 * s},
		{"a close long ago leaves nothing seen", []step{{open: 10 * s}, {closed: 4 * s}}, closingHolds + ms, 2 * s},
		{"closed with the answer", []step{{open: 10 * s}, {closed: -1}}, ms, 0},
		{"a later close takes the place of one long ago", []step{{closed: 4 * s}, {open: 12 * s}, {closed: 8 * s, at: 2 * closingHolds}}, 2*closingHolds + ms, 4 * s},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var k keeping
			for _, step := range tc.steps {
				if step.closed != 0 {
					k.close(max(step.closed, 0), at(step.at))
				} else {
					k.open(step.open)
				}
			}
			if got := k.safe(at(tc.when)); got != tc.want {
				t.Errorf("safe up to %v, wanted %v", got, tc.want)
			}
		})
	}
}

// A connection that is kept is taken for what cannot be sent twice only once an older one was seen open.
func TestAcquireSure(t *testing.T) {
	s := serve(t, "127.0.0.1:0", echo)
	b := onePool(t, s.addr, Timeouts{})
	sure := func(now time.Time) *Conn {
		t.Helper()
		c, err := b.AcquireSure(nil, now, LookNow)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	now := time.Now()
	one := sure(now)
	b.Release(one, now)
	for _, ago := range []time.Duration{0, time.Second} { // the caller's clock was read before the release
		if c := sure(now.Add(-ago)); c == one {
			t.Errorf("nothing was seen open for any time, and the connection was taken, released %v later", ago)
		}
	}
	two := sure(now.Add(4 * time.Second))
	if two == one {
		t.Error("nothing was seen open for longer, and the connection was taken")
	}
	now = now.Add(6 * time.Second)
	b.Release(two, now)
	if c := sure(now.Add(time.Second)); c != two {
		t.Error("one was seen open for longer, and the younger one was not taken")
	}
	b.Release(two, now)
	b.FoundClosed(two) // after a second
	if c := sure(now.Add(2 * time.Second)); c == two {
		t.Error("the backend closes after a second, and one of that age was taken")
	}
}
