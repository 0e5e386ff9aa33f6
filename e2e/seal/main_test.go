// Package seal attacks the sealed copies of the built rehydra as somebody would who can write to every memcached: copies are changed, swapped,
// put back from before, and left under a key that is no longer used. Nothing of them may reach a backend or a client.
package seal

import (
	"os"
	"testing"

	"rehydra/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
