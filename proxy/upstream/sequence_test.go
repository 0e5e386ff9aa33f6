package upstream

import (
	"fmt"
	"testing"
)

func TestSequence(t *testing.T) {
	for _, tc := range []struct {
		weights []int
		want    string
	}{
		{nil, "[]"},
		{[]int{1}, "[0]"},
		{[]int{7}, "[0]"},
		{[]int{1, 1, 1}, "[0 1 2]"},
		{[]int{5, 1, 1}, "[0 0 1 0 2 0 0]"},
		{[]int{4, 2}, "[0 1 0]"},
		{[]int{1, 3}, "[1 0 1 1]"},
	} {
		if got := fmt.Sprint(sequence(tc.weights)); got != tc.want {
			t.Errorf("sequence(%v) = %s, want %s", tc.weights, got, tc.want)
		}
	}
}

func TestSequenceIsBounded(t *testing.T) {
	got := sequence([]int{1_000_003, 1, 500_000})
	if len(got) > maxSequence+3 {
		t.Fatalf("%d turns, want at most about %d", len(got), maxSequence)
	}
	count := map[uint16]int{}
	for _, i := range got {
		count[i]++
	}
	if count[1] != 1 || count[0] < 19*count[2]/10 || count[0] > 21*count[2]/10 {
		t.Errorf("turns %v, want 0 twice as often as 2, and 1 once", count)
	}
}
