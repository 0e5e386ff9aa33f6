//go:build soak

package history

import (
	"os"
	"testing"
	"time"
)

// TestHistorySoak is TestHistory for REHYDRA_SOAK, a minute unless set, and with a seed of the day.
func TestHistorySoak(t *testing.T) {
	length := time.Minute
	if text := os.Getenv("REHYDRA_SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("cannot read REHYDRA_SOAK %q: wanted a duration such as 60s", text)
		}
	}
	everything(t, seed(t, uint64(time.Now().Unix()/86400)), length)
}
