// Package protocol plays the backends of the session protocol, byte by byte, against the built rehydra: what the tier
// sends, what it makes of every answer, and what it promises about the copies. The store is embedded or two real memcacheds.
//
// Backends are listeners of the test (backend_test.go) whose answers a test writes as raw bytes, or a model of an adapter
// with sessions (model_test.go) where a walk over several requests is looked at. Three rules are held in every test of the package: no
// byte of the session protocol reaches a client, no client's field of it reaches a backend, and a request carries the
// tier's fields exactly as section 1 wants them.
package protocol

import (
	"os"
	"testing"

	"rehydra/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
