// Package protocol plays the backends of the session protocol, byte by byte, against the built rehydra: what the tier
// sends, what it makes of every answer, and what it promises about the copies. The store is embedded or two real memcacheds.
//
// Backends are listeners of the test (backend_test.go) whose answers a test writes as raw bytes, or a model of an adapter
// with sessions (model_test.go) where a walk over several requests is looked at. Three rules are held in every test of the package: no
// byte of the session protocol reaches a client, no client's field of it reaches a backend, and a request carries the
// tier's fields exactly as section 1 wants them.
package protocol

import (
	"flag"
	"os"
	"testing"

	"rehydra/e2e/harness"
)

// atOnce is how many tests run at once, whatever the number of processors: most of them wait, for a time to live or a time-out.
const atOnce = "6"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", atOnce); err != nil {
		panic(err)
	}
	os.Exit(harness.Main(m))
}
