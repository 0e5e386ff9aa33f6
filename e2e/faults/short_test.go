//go:build !soak

package faults

import "time"

// pauseFor is how long servers are paused.
const pauseFor = 2 * time.Second
