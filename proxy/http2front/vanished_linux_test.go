package http2front

import (
	"testing"

	"rehydra/proxy/socket/sockettest"
	"rehydra/proxy/upstream"
)

// TestNoLingerForAFarewell: that a client does not acknowledge the GOAWAY is no reason to wait for it, if it has all of its answers.
func TestNoLingerForAFarewell(t *testing.T) {
	t.Parallel()
	s := newSlowOne(t, lingerPatience)
	for got := 0; got < slowBody; {
		n, err := s.read()
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	s.eventually("all is acknowledged", func() bool { held, _ := upstream.Unsent(s.near); return held == 0 })
	sockettest.Vanish(t, s.client)
	s.front.Drain()
	s.eventually("the kernel holds the GOAWAY", func() bool { held, _ := upstream.Unsent(s.near); return held > 0 || s.isOver() })
	if s.isOver() {
		t.Error("it is over at once: nothing is tested")
	}
	if took := s.ends(); took > lingerPatience/2 {
		t.Errorf("it took %v", took)
	}
	if s.guard.lingers {
		t.Error("it lingered")
	}
}
