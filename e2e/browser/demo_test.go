// Package browser looks at the demo as a newcomer does: in a real browser.
package browser

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"rehydra/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// TestDemo clicks through the demo: a session is filled, the backend that holds
// it is killed, and the next click is answered by another with the same session.
func TestDemo(t *testing.T) {
	url := startDemo(t)
	p := page{t, startBrowser(t)}
	p.do(chromedp.Navigate(url))
	first := p.text("#node", func(s string) bool { return strings.HasPrefix(s, "node") })
	id := p.text("#session-id", func(s string) bool { return strings.HasSuffix(s, first) })
	created := p.text("#created", func(s string) bool { return strings.Contains(s, ":") })
	p.click("#count-up")
	p.shows("#count", "1")
	p.click("#count-up")
	p.shows("#count", "2")
	p.do(chromedp.SendKeys("#note", "remember me\r"))
	p.shows("#notes", "remember me")
	p.shows("#copies", "embedded")

	p.click(`[data-kill="` + first + `"]`)
	p.do(chromedp.WaitVisible(`[data-revive="` + first + `"]`))
	p.click("#count-up")
	p.shows("#count", "3")
	second := p.text("#node", func(s string) bool { return strings.HasPrefix(s, "node") && s != first })
	p.shows("#notes", "remember me")
	p.shows("#events", first+" was killed; your session was restored on "+second)
	if after := p.text("#created", func(s string) bool { return s != "" }); after != created {
		t.Errorf("the session was created at %s, and at %s after the fail-over", created, after)
	}
	after := p.text("#session-id", func(s string) bool { return strings.HasSuffix(s, second) })
	if base(after) != base(id) {
		t.Errorf("the session id was %s, and is %s after the fail-over", id, after)
	}

	p.click(`[data-revive="` + first + `"]`)
	p.do(chromedp.WaitVisible(`[data-kill="` + first + `"]`))
	p.click("#end")
	p.shows("#count", "0")
	p.text("#session-id", func(s string) bool {
		return strings.HasPrefix(s[max(0, strings.LastIndex(s, ".")):], ".node") && base(s) != base(id)
	})
}

func base(id string) string { b, _, _ := strings.Cut(id, "."); return b }

// page is a page in a browser.
type page struct {
	t   *testing.T
	ctx context.Context
}

// step bounds one step in the browser.
const step = 20 * time.Second

func (p page) do(action chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, step)
	defer cancel()
	if _, err := chromedp.Run(ctx, action); err != nil {
		p.t.Fatal(err)
	}
}

func (p page) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(selector))
}

// text waits until ok takes the text of the element, and returns it.
func (p page) text(selector string, ok func(string) bool) (last string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, step)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var err error
		if last, err = chromedp.Run(ctx, chromedp.Text(selector)); err != nil {
			p.t.Fatalf("%s: %v", selector, err)
		}
		if ok(last) {
			return last
		}
		select {
		case <-ctx.Done():
			p.t.Fatalf("%s shows %q: %v", selector, last, ctx.Err())
		case <-tick.C:
		}
	}
}

// shows waits until the element's text holds part.
func (p page) shows(selector, part string) {
	p.t.Helper()
	p.text(selector, func(s string) bool { return strings.Contains(s, part) })
}

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

// startBrowser starts Debian's Chromium without a window.
func startBrowser(t *testing.T, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("cannot find a browser: %v", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.WindowSize(1200, 1000))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	t.Cleanup(cancel)
	ctx, cancelTab := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("cannot end the browser: %v", err)
		}
		cancelTab()
	})
	if _, err := chromedp.Run(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("cannot start the browser: %v", err)
	}
	return ctx
}
