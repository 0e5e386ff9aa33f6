//go:build !race

// Under the race detector pools forget on purpose, so that allocations say nothing.

package proxy_test

import (
	"runtime"
	"testing"

	"github.com/rs/zerolog"

	"rehydra/proxy"
	"rehydra/proxy/upstream"
)

// TestPlainRequestDoesNotAllocate: from the client's connection to the backend's and back, the access log included, nothing is allocated once
// the buffers are there. The allocations are those of the whole process.
func TestPlainRequestDoesNotAllocate(t *testing.T) {
	lines := &lineCount{}
	a := newAsker(t, wholeProxy(t, backendOf(t, plainAnswers(1024)), plainLimits(), upstream.Timeouts{}, proxy.NewAccessLog(zerolog.New(lines).With().Timestamp().Logger())))
	const requests = 1000
	// Once in a while something else allocates: a health check, a collection that empties the pools. It does not in each of ten tries.
	least := uint64(requests)
	for range 10 {
		for range 100 {
			a.ask()
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range requests {
			a.ask()
		}
		runtime.ReadMemStats(&after)
		if least = min(least, after.Mallocs-before.Mallocs); least < requests/20 {
			break
		}
	}
	if least >= requests/20 {
		t.Errorf("%d allocations in %d requests, wanted none (a few of others are let pass)", least, requests)
	}
	lines.mu.Lock()
	defer lines.mu.Unlock()
	if lines.lines < requests {
		t.Errorf("%d lines of access log, wanted one for each of more than %d requests", lines.lines, requests)
	}
}
