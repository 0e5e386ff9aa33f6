// Package browser looks at pages as people do: in Debian's Chromium.
package browser

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// step bounds one step in the browser, of which its start is the longest; only a failing test uses it up.
const step = time.Minute

// Page is a page in a browser of its own, without a window.
type Page struct {
	t   testing.TB
	ctx context.Context
}

// Open starts a browser that shows nothing yet. It ends with the test; options are added to those that every browser here has.
func Open(t testing.TB, options ...chromedp.ExecAllocatorOption) *Page {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("cannot find a browser: %v", err)
	}
	all := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.WindowSize(1200, 1000), chromedp.WSURLReadTimeout(step))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(all, options...)...)
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
	return &Page{t, ctx}
}

// Do does one thing.
func (p *Page) Do(action chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, step)
	defer cancel()
	if _, err := chromedp.Run(ctx, action); err != nil {
		p.t.Fatal(err)
	}
}

// Go opens an address.
func (p *Page) Go(url string) {
	p.t.Helper()
	p.Do(chromedp.Navigate(url))
}

// Click clicks on an element.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.Do(chromedp.Click(selector))
}

// Text waits until ok takes the text of a visible element, and returns it. The page may replace the element meanwhile.
func (p *Page) Text(selector string, ok func(string) bool) string {
	p.t.Helper()
	return p.wait(selector, "something else", ok)
}

// Shows waits until an element is visible and its text holds part.
func (p *Page) Shows(selector, part string) {
	p.t.Helper()
	p.wait(selector, part, func(text string) bool { return strings.Contains(text, part) })
}

func (p *Page) wait(selector, wanted string, ok func(string) bool) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, step)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := chromedp.Run(ctx, chromedp.Text(selector))
		if err == nil && ok(text) {
			return text
		}
		select {
		case <-ctx.Done():
			p.t.Fatalf("%s shows %q (%v), wanted %s", selector, text, err, wanted)
		case <-tick.C:
		}
	}
}
