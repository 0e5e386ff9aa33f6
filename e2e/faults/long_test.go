//go:build soak

package faults

import "time"

const pauseFor = 10 * time.Second
