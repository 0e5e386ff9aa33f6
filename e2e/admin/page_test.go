package admin

import (
	"testing"

	"github.com/chromedp/chromedp"

	"rehydra/e2e/harness"
	"rehydra/e2e/harness/browser"
)

// TestPage looks at the operators' page in a browser: it shows what fails, without being asked again, and finds a session.
func TestPage(t *testing.T) {
	c := startCluster(t, 2)
	p := harness.Start(t, c.config)
	u := newUser(t, p)
	u.count(1)
	u.count(2)
	tab := browser.Open(t)
	tab.Go("http://" + p.Admin() + "/")
	tab.Shows("#summary", p.Address())
	tab.Shows(`[data-counter="saves"] dd`, "2")
	tab.Shows(`[data-counter="lost"] dd`, "0")
	for route := range c.backends {
		tab.Shows(`[data-backend="shop/`+route+`"]`, "up")
	}
	tab.Shows(`[data-node="n1"]`, "closed")

	tab.Do(chromedp.SendKeys("#id", u.id+"\r"))
	tab.Shows("#found h3", "shop · localhost/shop")
	tab.Shows("#found", "version 1.2")
	tab.Shows(`[data-copy="n1"]`, "present, newest")

	c.backends[u.route()].down()
	c.nodes[0].Kill(t)
	tab.Shows(`[data-backend="shop/`+u.route()+`"].bad`, "out")
	tab.Shows(`[data-node="n1"].bad`, "open")
	u.count(3)
	tab.Shows(`[data-counter="restores"] dd`, "1")
	tab.Shows(`[data-counter="unprotected"].worry dd`, "1")
	p.Kill(t)
	tab.Shows("#alert", "does not answer")
}
