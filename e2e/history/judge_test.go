package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// operation is one call of a client, as the client saw it. Times are nanoseconds since the run began.
type operation struct {
	client    int
	read      bool // else an increment
	call, end int64
	value     int  // the answer
	unknown   bool // an increment of which nobody knows whether it happened; end is forever
	note      string
}

// forever is when an operation ends whose answer never came.
const forever = math.MaxInt64

func (o operation) String() string {
	what, end := "increment", fmt.Sprintf("%10.3fms", float64(o.end)/1e6)
	if o.read {
		what = "read"
	}
	answer := fmt.Sprint(o.value)
	if o.unknown {
		answer, end = "?", "   (open)   "
	}
	return fmt.Sprintf("%10.3fms – %s  client %d  %-9s → %-4s %s", float64(o.call)/1e6, end, o.client, what, answer, o.note)
}

// counterModel is the counter that all clients of a session should believe to share. An unknown increment may be put anywhere
// after its call; at the end of everything it has no effect that anybody saw.
var counterModel = porcupine.Model{
	Init: func() any { return 0 },
	Step: func(state, _, output any) (bool, any) {
		n, o := state.(int), output.(operation)
		switch {
		case o.read:
			return o.value == n, n
		case o.unknown:
			return true, n + 1
		default:
			return o.value == n+1, n + 1
		}
	},
}

// judge says whether one session's history is that of one counter. Unknown: it took too long to find out.
func judge(history []operation) porcupine.CheckResult {
	ops := make([]porcupine.Operation, len(history))
	for i, o := range history {
		ops[i] = porcupine.Operation{ClientId: i, Call: o.call, Return: o.end, Output: o}
	}
	return porcupine.CheckOperationsTimeout(counterModel, ops, 2*time.Minute)
}

// shortest returns the shortest beginning of a history that is not one of a counter: what was known when the first answer came that
// cannot be.
func shortest(history []operation) []operation {
	ends := make([]int64, len(history))
	for i, o := range history {
		ends[i] = o.end
	}
	slices.Sort(ends)
	at, _ := slices.BinarySearchFunc(ends, porcupine.Illegal, func(end int64, _ porcupine.CheckResult) int {
		if judge(until(history, end)) == porcupine.Illegal {
			return 0
		}
		return -1
	})
	return until(history, ends[min(at, len(ends)-1)])
}

// until is the history as it was known at a time.
func until(history []operation, end int64) (known []operation) {
	for _, o := range history {
		if o.call > end || o.end > end && o.read {
			continue
		}
		if o.end > end {
			o.unknown, o.end = true, forever
		}
		known = append(known, o)
	}
	return known
}

// show returns the last operations of a history, in the order of their calls, one a line.
func show(history []operation, most int) string {
	slices.SortFunc(history, func(a, b operation) int { return cmp.Compare(a.call, b.call) })
	var b strings.Builder
	for _, o := range history[max(0, len(history)-most):] {
		fmt.Fprintln(&b, o)
	}
	return b.String()
}

// The judge itself is judged by histories that are known to be right or wrong.
func TestJudge(t *testing.T) {
	inc := func(call, end int64, value int) operation { return operation{call: call, end: end, value: value} }
	read := func(call, end int64, value int) operation {
		return operation{call: call, end: end, value: value, read: true}
	}
	open := func(call int64) operation { return operation{call: call, end: forever, unknown: true} }
	for _, c := range []struct {
		name string
		h    []operation
		want porcupine.CheckResult
	}{
		{"nothing", nil, porcupine.Ok},
		{"in order", []operation{inc(1, 2, 1), read(3, 4, 1), inc(5, 6, 2), read(7, 8, 2)}, porcupine.Ok},
		{"at once, either order", []operation{inc(1, 9, 2), inc(2, 8, 1)}, porcupine.Ok},
		{"a read that overlaps an increment", []operation{inc(1, 9, 1), read(2, 3, 1), read(4, 5, 1)}, porcupine.Ok},
		{"an unknown one that happened later", []operation{inc(1, 2, 1), open(3), read(4, 5, 1), read(6, 7, 2)}, porcupine.Ok},
		{"an unknown one that never happened", []operation{inc(1, 2, 1), open(3), inc(4, 5, 2)}, porcupine.Ok},
		{"a lost increment", []operation{inc(1, 2, 1), inc(3, 4, 2), read(5, 6, 1)}, porcupine.Illegal},
		{"a lost session", []operation{inc(1, 2, 1), inc(3, 4, 1)}, porcupine.Illegal},
		{"two increments with one answer", []operation{inc(1, 9, 1), inc(2, 8, 1)}, porcupine.Illegal},
		{"back and forth", []operation{inc(1, 9, 1), read(2, 3, 1), read(4, 5, 0)}, porcupine.Illegal},
		{"an increment that happened twice", []operation{open(1), inc(2, 3, 1), inc(4, 5, 4)}, porcupine.Illegal},
		{"an unknown one that came back after a read without it", []operation{open(1), read(2, 3, 1), read(4, 5, 0)}, porcupine.Illegal},
	} {
		if got := judge(c.h); got != c.want {
			t.Errorf("%s: %s, wanted %s", c.name, got, c.want)
		}
		if c.want == porcupine.Illegal {
			extended := append(slices.Clone(c.h), inc(100, 101, 50), open(102))
			if got := len(shortest(extended)); got != len(c.h) {
				t.Errorf("%s: the shortest beginning that is wrong has %d operations, wanted %d", c.name, got, len(c.h))
			}
		}
	}
}
