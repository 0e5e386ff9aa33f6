//go:build !race

// Under the race detector the calls are those of package syscall, some of which allocate.

package eventloop

import (
	"io"
	"testing"
)

// TestNothingIsAllocated: a question that begins a job which rests, and its answer, cost no memory.
func TestNothingIsAllocated(t *testing.T) {
	g := newGroup(t, 1)
	c, far := pair(t, g)
	rest(t, c, &echo{c: c})
	question, answer := []byte("question"), make([]byte, 8)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := far.Write(question); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(far, answer); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, wanted none", n)
	}
}
