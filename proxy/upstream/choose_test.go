package upstream

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// chooseCase is a pool, which of its backends are out, and what must be chosen.
type chooseCase struct {
	name     string
	backends []BackendConfig
	force    bool
	out      string // routes, separated by blanks
	tried    string
	routes   string
	want     string // of successive choices; a * marks sticky; an error by its name
}

// nodes makes backends from descriptions: route, then any of w=, d= (distance), dom=, red=, disabled, stopped.
func nodes(lines ...string) []BackendConfig {
	var out []BackendConfig
	for i, line := range lines {
		words := strings.Fields(line)
		b := BackendConfig{Route: words[0], Address: fmt.Sprintf("127.0.0.1:%d", i+1)}
		for _, w := range words[1:] {
			key, value, _ := strings.Cut(w, "=")
			switch key {
			case "w":
				fmt.Sscan(value, &b.Weight)
			case "d":
				fmt.Sscan(value, &b.Distance)
			case "dom":
				b.Domain = value
			case "red":
				b.Redirect = value
			case "disabled":
				b.Activation = Disabled
			case "stopped":
				b.Activation = Stopped
			}
		}
		out = append(out, b)
	}
	return out
}

var errOut = errors.New("taken out by the test")

func (tc *chooseCase) run(t *testing.T) {
	p := table(t, io.Discard, nil, Config{Name: "p", Force: tc.force, Backends: tc.backends}).Pools()[0]
	for _, r := range strings.Fields(tc.out) {
		p.Backend([]byte(r)).ReportRefused(errOut)
	}
	var tried []*Backend
	for _, r := range strings.Fields(tc.tried) {
		tried = append(tried, p.Backend([]byte(r)))
	}
	var routes [][]byte
	for _, r := range strings.Fields(tc.routes) {
		routes = append(routes, []byte(r))
	}
	var got []string
	for range strings.Fields(tc.want) {
		got = append(got, describe(p.Choose(routes, tried)))
	}
	if g := strings.Join(got, " "); g != tc.want {
		t.Errorf("got %s, want %s", g, tc.want)
	}
}

func describe(b *Backend, sticky bool, err error) string {
	switch {
	case errors.Is(err, ErrForced):
		return "ErrForced"
	case errors.Is(err, ErrNoBackend):
		return "ErrNoBackend"
	case sticky:
		return b.Route() + "*"
	}
	return b.Route()
}

func TestChoose(t *testing.T) {
	three := nodes("n1", "n2", "n3")
	domains := nodes("n1 dom=east", "n2 dom=west", "n3 dom=east", "n4 dom=west")
	for _, tc := range []chooseCase{
		{name: "in turn", backends: three, want: "n1 n2 n3 n1 n2"},
		{name: "by weight", backends: nodes("n1 w=2", "n2"), want: "n1 n2 n1 n1 n2 n1"},
		{name: "own route", backends: three, routes: "n3", want: "n3* n3* n3*"},
		{name: "unknown route", backends: three, routes: "n9", want: "n1 n2 n3"},
		{name: "empty pool of ups", backends: three, out: "n1 n2 n3", want: "ErrNoBackend"},
		{name: "out is left out", backends: three, out: "n2", want: "n1 n3 n1 n3"},
		{name: "tried is left out", backends: three, tried: "n1 n3", want: "n2 n2"},
		{name: "all tried", backends: three, tried: "n1 n2 n3", want: "ErrNoBackend"},
		{name: "own tried", backends: nodes("n1", "n2"), tried: "n1", routes: "n1", want: "n2 n2"},

		{name: "second id where the first names nobody", backends: three, routes: "n9 n2", want: "n2* n2*"},
		{name: "second id where the first is out", backends: three, out: "n1", routes: "n1 n3", want: "n3* n3*"},
		{name: "first id first", backends: three, routes: "n2 n1", want: "n2*"},

		{name: "disabled gets its sessions", backends: nodes("n1 disabled", "n2"), routes: "n1", want: "n1*"},
		{name: "disabled gets no others", backends: nodes("n1 disabled", "n2"), want: "n2 n2"},
		{name: "disabled alone", backends: nodes("n1 disabled"), want: "ErrNoBackend"},
		{name: "stopped gets nothing", backends: nodes("n1 stopped", "n2"), routes: "n1", want: "n2 n2"},
		{name: "stopped alone", backends: nodes("n1 stopped"), routes: "n1", want: "ErrNoBackend"},

		{name: "force: own up", backends: three, force: true, routes: "n2", want: "n2*"},
		{name: "force: own out", backends: three, force: true, out: "n2", routes: "n2", want: "ErrForced"},
		{name: "force: own out, redirect", backends: nodes("n1 red=n2", "n2"), force: true, out: "n1", routes: "n1", want: "ErrForced"},
		{name: "force: stopped", backends: nodes("n1 stopped", "n2"), force: true, routes: "n1", want: "ErrForced"},
		{name: "force: another id's is up", backends: three, force: true, out: "n2", routes: "n2 n1", want: "n1*"},
		{name: "force: unknown route", backends: three, force: true, routes: "n9", want: "n1"},
		{name: "force: no session", backends: three, force: true, out: "n2", want: "n1 n3"},
		{name: "force: domain out", backends: domains, force: true, out: "n1 n3", routes: "east", want: "ErrForced"},

		{name: "redirect", backends: nodes("n1 red=n3", "n2", "n3"), out: "n1", routes: "n1", want: "n3 n3"},
		{name: "redirect to a disabled one", backends: nodes("n1 red=n3", "n2", "n3 disabled"), out: "n1", routes: "n1", want: "n3 n3"},
		{name: "redirect out too", backends: nodes("n1 red=n3", "n2", "n3"), out: "n1 n3", routes: "n1", want: "n2"},
		{name: "redirect before domain", backends: nodes("n1 dom=a red=n3", "n2 dom=a", "n3"), out: "n1", routes: "n1", want: "n3"},
		{name: "redirect out, domain", backends: nodes("n0", "n1 dom=a red=n3", "n2 dom=a", "n3"), out: "n1 n3", routes: "n1", want: "n2 n2"},
		{name: "redirect of the first id named", backends: nodes("n1 red=n3", "n2 red=n4", "n3", "n4"), out: "n1 n2", routes: "x n2 n1", want: "n4"},
		{name: "hot standby", backends: nodes("n1 red=n3", "n2 red=n3", "n3 disabled"), want: "n1 n2 n1"},
		{name: "hot standby takes over", backends: nodes("n1 red=n3", "n2 red=n3", "n3 disabled"), out: "n1 n2", want: "n3 n3"},
		{name: "hot standby takes over sessions", backends: nodes("n1 red=n3", "n2 red=n3", "n3 disabled"), out: "n1 n2", routes: "n2", want: "n3"},
		{name: "no standby that is stopped", backends: nodes("n1 red=n2", "n2 stopped"), out: "n1", want: "ErrNoBackend"},

		{name: "domain", backends: domains, out: "n1", routes: "n1", want: "n3 n3 n3"},
		{name: "domain out", backends: domains, out: "n1 n3", routes: "n1", want: "n2 n4"},
		{name: "domain's other disabled", backends: nodes("n1 dom=a", "n2 dom=a disabled", "n3"), out: "n1", routes: "n1", want: "n3"},
		{name: "domain as route", backends: domains, routes: "west", want: "n2 n4 n2"},
		{name: "domain before a dot", backends: domains, routes: "west.n9", want: "n2 n4"},
		{name: "domain nearest first", backends: nodes("n1 dom=a", "n2 dom=a d=2", "n3 dom=a d=1"), out: "n1", routes: "n1", want: "n3 n3"},
		{name: "no domain is not a domain", backends: nodes("n1", "n2", "n3 d=1"), out: "n1", routes: "n1", want: "n2"},

		{name: "distance", backends: nodes("n1 d=1", "n2", "n3 d=1", "n4"), want: "n2 n4 n2"},
		{name: "distance, near ones out", backends: nodes("n1 d=1", "n2", "n3 d=1", "n4"), out: "n2 n4", want: "n1 n3 n1"},
		{name: "distance, near ones tried", backends: nodes("n1 d=1", "n2", "n3 d=7"), tried: "n2 n1", want: "n3"},
		{name: "distance does not bind sessions", backends: nodes("n1 d=1", "n2"), routes: "n1", want: "n1*"},
	} {
		t.Run(tc.name, tc.run)
	}
}

func TestChooseByLoad(t *testing.T) {
	make3 := func(t *testing.T, by Balance) *Pool {
		return table(t, io.Discard, nil, Config{Name: "p", Balance: by, Backends: nodes("n1 w=2", "n2", "n3")}).Pools()[0]
	}
	choose := func(t *testing.T, p *Pool, routes ...[]byte) *Backend {
		t.Helper()
		b, _, err := p.Choose(routes, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Run("busyness", func(t *testing.T) {
		p := make3(t, BalanceBusyness)
		for range 8 {
			choose(t, p).Begin()
		}
		for i, want := range []int64{4, 2, 2} {
			if got := p.Backends()[i].Stats().InFlight; got != want {
				t.Errorf("%d in flight at %s, want %d", got, p.Backends()[i].Route(), want)
			}
		}
		p.Backends()[2].End()
		if got := choose(t, p).Route(); got != "n3" {
			t.Errorf("chose %s, want n3, which has the least", got)
		}
	})
	t.Run("sessions", func(t *testing.T) {
		p := make3(t, BalanceSessions)
		for range 50 { // requests of sessions place none
			choose(t, p, []byte("n2"))
		}
		got := map[string]int{}
		for range 8 {
			got[choose(t, p).Route()]++
		}
		if fmt.Sprint(got) != "map[n1:4 n2:2 n3:2]" {
			t.Errorf("placed %v, want 4, 2, 2", got)
		}
	})
	t.Run("traffic", func(t *testing.T) {
		p := make3(t, BalanceTraffic)
		p.Backends()[0].AddTraffic(1000, 500)
		p.Backends()[1].AddTraffic(0, 800)
		p.Backends()[2].AddTraffic(200, 500)
		if got := choose(t, p).Route(); got != "n3" {
			t.Errorf("chose %s, want n3: 700 against 800 and 1500/2", got)
		}
		p.Backends()[2].AddTraffic(100, 0)
		if got := choose(t, p).Route(); got != "n1" {
			t.Errorf("chose %s, want n1: 1500/2 against 800 and 800", got)
		}
	})
	t.Run("least loaded was tried", func(t *testing.T) {
		p := make3(t, BalanceTraffic)
		p.Backends()[0].AddTraffic(1000, 0)
		p.Backends()[1].AddTraffic(900, 0)
		b, _, err := p.Choose(nil, []*Backend{p.Backends()[2]})
		if err != nil || b.Route() != "n1" {
			t.Errorf("chose %v, %v; want n1", b, err)
		}
	})
}

func TestReturningBackendIsNotFlooded(t *testing.T) {
	p := table(t, io.Discard, nil, Config{Name: "p", Balance: BalanceSessions, Backends: nodes("n1", "n2 w=2")}).Pools()[0]
	n1, n2 := p.Backends()[0], p.Backends()[1]
	n2.ReportRefused(errOut)
	for range 100 {
		if b, _, err := p.Choose(nil, nil); err != nil || b != n1 {
			t.Fatalf("chose %v, %v; want n1", b, err)
		}
	}
	n2.checked(n2.Epoch(), nil)
	if load := n2.shared.load.Load(); load != 200 {
		t.Errorf("n2 returned with a load of %d, want 200: as many for its weight as n1", load)
	}
	p.decay()
	if a, b := n1.shared.load.Load(), n2.shared.load.Load(); a != 50 || b != 100 {
		t.Errorf("loads after a minute: %d and %d, want half of 100 and 200", a, b)
	}
}

func TestChooseSharesConcurrently(t *testing.T) {
	p := table(t, io.Discard, nil, Config{Name: "p", Backends: nodes("n1 w=3", "n2")}).Pools()[0]
	const workers, each = 8, 400
	counts := make(chan [2]int, workers)
	for range workers {
		go func() {
			var n [2]int
			for range each {
				b, _, err := p.Choose(nil, nil)
				if err == nil && b.Route() == "n1" {
					n[0]++
				} else if err == nil {
					n[1]++
				}
			}
			counts <- n
		}()
	}
	var sum [2]int
	for range workers {
		n := <-counts
		sum[0] += n[0]
		sum[1] += n[1]
	}
	if sum != [2]int{workers * each * 3 / 4, workers * each / 4} {
		t.Errorf("shares %v, want exactly 3 to 1 whoever asks", sum)
	}
}
