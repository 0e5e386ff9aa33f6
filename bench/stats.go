package main

import (
	"math"
	"slices"
	"time"
)

// quantile returns the value below which the share q of the sorted microseconds lies (nearest rank), 0 where there are none.
func quantile(sorted []uint32, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return time.Duration(sorted[min(max(rank, 1), len(sorted))-1]) * time.Microsecond
}

// A Spread is the middle and the extremes of some figures.
type Spread struct {
	Median, Min, Max float64
}

// spread returns the zero Spread for no figures.
func spread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return Spread{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}
