package proxy

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// The first pipes are large and the others smaller, so that no user runs out of what the system lets him have; one that is given back is lent again.
func TestPipesShareWhatAUserMayHave(t *testing.T) {
	var p pipes
	var lent []*pipe
	for i := range largePipes + 2 {
		made, err := p.make()
		if err != nil {
			t.Fatal(err)
		}
		lent = append(lent, made)
		want := pipeLarge
		if i >= largePipes {
			want = pipeSmall
		}
		if made.size != want {
			t.Errorf("pipe %d holds %d bytes, wanted %d", i, made.size, want)
		}
	}
	if n := p.open.Load(); n != largePipes+2 {
		t.Errorf("%d pipes are open, wanted %d", n, largePipes+2)
	}
	for _, each := range lent {
		each.held = 1 // of a body that nobody gets
		p.put(each)
	}
	if n := p.open.Load(); n != 0 {
		t.Errorf("%d pipes are open after all were closed", n)
	}
}

// A pipe that the system makes too small is not used, and not left open: bodies are copied then.
func TestPipeThatIsTooSmall(t *testing.T) {
	var p pipes
	before := lowestFree(t)
	const times = 500 // what other tests leave behind opens and closes some too
	for range times {
		if made, err := newPipe(pipeEnds{open: &p.open}, 4096); !errors.Is(err, errSmallPipe) {
			t.Fatalf("%+v, error %v; wanted %v", made, err, errSmallPipe)
		}
	}
	if after := lowestFree(t); after > before+times/2 {
		t.Errorf("the lowest free descriptor is %d, and was %d: pipes were left open", after, before)
	}
}

// lowestFree returns the descriptor that the next open file gets.
func lowestFree(t *testing.T) int {
	t.Helper()
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(fd); err != nil {
		t.Fatal(err)
	}
	return fd
}

// Where the system refuses a large pipe, a smaller one is made, and not one of the size that pipes begin with.
func TestPipeThatMayNotBeLarge(t *testing.T) {
	var p pipes
	p.open.Add(1)
	made, err := newPipe(pipeEnds{open: &p.open}, -1) // unsigned, that is more than anybody may have
	if err != nil {
		t.Fatal(err)
	}
	if made.size != pipeSmall {
		t.Errorf("it holds %d bytes, wanted %d", made.size, pipeSmall)
	}
	made.held = 1
	p.put(made)
}
