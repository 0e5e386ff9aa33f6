// Package admin looks at the proxy as its operators do: through the admin listener, `rehydra session` and the page.
package admin

import (
	"os"
	"testing"

	"rehydra/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
