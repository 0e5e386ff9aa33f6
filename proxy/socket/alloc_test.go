//go:build !race

// Under the race detector the calls are those of package syscall, some of which allocate.

package socket

import (
	"io"
	"testing"
)

func TestNothingIsAllocated(t *testing.T) {
	_, there, raw := pair(t)
	var calls Calls
	question, answer := []byte("question"), make([]byte, 8)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := there.Write(question); err != nil { // so that Ask need not wait
			t.Fatal(err)
		}
		if !calls.Silent(raw) { // which the first byte ends
			if _, err := calls.Read(raw, answer); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := calls.Write(raw, question); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(there, answer); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, wanted none", n)
	}
}
