package admin

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"rehydra/e2e/harness"
)

// TestPage looks at the operators' page in a browser: it shows what fails, without being asked again, and finds a session.
func TestPage(t *testing.T) {
	c := startCluster(t, 2)
	p := harness.Start(t, c.config)
	u := newUser(t, p)
	u.count(1)
	u.count(2)
	tab := page{t, startBrowser(t)}
	tab.do(chromedp.Navigate("http://" + p.Admin() + "/"))
	tab.shows("#summary", p.Address())
	tab.shows(`[data-counter="saves"] dd`, "2")
	tab.shows(`[data-counter="lost"] dd`, "0")
	for route := range c.backends {
		tab.shows(`[data-backend="shop/`+route+`"]`, "up")
	}
	tab.shows(`[data-node="n1"]`, "closed")

	tab.do(chromedp.SendKeys("#id", u.id+"\r"))
	tab.shows("#found h3", "shop · localhost/shop")
	tab.shows("#found", "version 1.2")
	tab.shows(`[data-copy="n1"]`, "present, newest")

	c.backends[u.route()].down()
	c.nodes[0].Kill(t)
	tab.shows(`[data-backend="shop/`+u.route()+`"].bad`, "out")
	tab.shows(`[data-node="n1"].bad`, "open")
	u.count(3)
	tab.shows(`[data-counter="restores"] dd`, "1")
	tab.shows(`[data-counter="unprotected"].worry dd`, "1")
	p.Kill(t)
	tab.shows("#alert", "does not answer")
}

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

// shows waits until the element is visible and its text holds part.
func (p page) shows(selector, part string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, step)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := chromedp.Run(ctx, chromedp.Text(selector)) // fails where the page replaces the element meanwhile
		if err == nil && strings.Contains(text, part) {
			return
		}
		select {
		case <-ctx.Done():
			p.t.Fatalf("%s shows %q (%v), wanted %q", selector, text, err, part)
		case <-tick.C:
		}
	}
}

// startBrowser starts Debian's Chromium without a window.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("cannot find a browser: %v", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.WindowSize(1200, 1000))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
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
