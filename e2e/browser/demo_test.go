// Package browser looks at the demo as a newcomer does: in a real browser.
package browser

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"rehydra/e2e/harness"
	"rehydra/e2e/harness/browser"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// TestDemo clicks through the demo: a session is filled, the backend that holds
// it is killed, and the next click is answered by another with the same session.
func TestDemo(t *testing.T) {
	url := startDemo(t)
	p := browser.Open(t)
	p.Go(url)
	first := p.Text("#node", func(s string) bool { return strings.HasPrefix(s, "node") })
	id := p.Text("#session-id", func(s string) bool { return strings.HasSuffix(s, first) })
	created := p.Text("#created", func(s string) bool { return strings.Contains(s, ":") })
	p.Click("#count-up")
	p.Shows("#count", "1")
	p.Click("#count-up")
	p.Shows("#count", "2")
	p.Do(chromedp.SendKeys("#note", "remember me\r"))
	p.Shows("#notes", "remember me")
	p.Shows("#copies", "embedded")

	p.Click(`[data-kill="` + first + `"]`)
	p.Do(chromedp.WaitVisible(`[data-revive="` + first + `"]`))
	p.Click("#count-up")
	p.Shows("#count", "3")
	second := p.Text("#node", func(s string) bool { return strings.HasPrefix(s, "node") && s != first })
	p.Shows("#notes", "remember me")
	p.Shows("#events", first+" was killed; your session was restored on "+second)
	if after := p.Text("#created", func(s string) bool { return s != "" }); after != created {
		t.Errorf("the session was created at %s, and at %s after the fail-over", created, after)
	}
	after := p.Text("#session-id", func(s string) bool { return strings.HasSuffix(s, second) })
	if base(after) != base(id) {
		t.Errorf("the session id was %s, and is %s after the fail-over", id, after)
	}

	p.Click(`[data-revive="` + first + `"]`)
	p.Do(chromedp.WaitVisible(`[data-kill="` + first + `"]`))
	p.Click("#end")
	p.Shows("#count", "0")
	p.Text("#session-id", func(s string) bool {
		return strings.HasPrefix(s[max(0, strings.LastIndex(s, ".")):], ".node") && base(s) != base(id)
	})
}

func base(id string) string { b, _, _ := strings.Cut(id, "."); return b }

// startDemo runs `rehydra demo` and returns the address that it prints.
func startDemo(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(harness.Binary(t), "demo", "--listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start the demo: %v", err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("cannot end the demo: %v", err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), "Open "); ok {
			return strings.TrimSpace(url)
		}
	}
	t.Fatal("the demo prints no address")
	return ""
}
