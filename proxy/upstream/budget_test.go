package upstream

import (
	"io"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

func TestBudget(t *testing.T) {
	at := func(second int64) time.Time { return time.Unix(1000+second, 0) }
	takes := func(b *budget, second int64, sent uint64, percent, minimum int) (n int) {
		for b.take(at(second), sent, percent, minimum) {
			if n++; n > 10000 {
				t.Fatal("it never ends")
			}
		}
		return n
	}
	var b budget
	if n := takes(&b, 0, 0, 20, 3); n != 3*budgetWindow {
		t.Errorf("without requests: %d, wanted the minimum, %d", n, 3*budgetWindow)
	}
	if n := takes(&b, 1, 1000, 20, 3); n != 200 {
		t.Errorf("after 1000 requests: %d more, wanted 200", n)
	}
	if n := takes(&b, budgetWindow, 1000, 20, 3); n != 0 {
		t.Errorf("with the requests out of the window, and their repeats in it: %d more, wanted none", n)
	}
	if n := takes(&b, budgetWindow+1, 1000, 20, 3); n != 3*budgetWindow {
		t.Errorf("with both out of the window: %d more, wanted the minimum, %d", n, 3*budgetWindow)
	}
	if n := takes(&b, 3*budgetWindow, 1000, 20, 3); n != 3*budgetWindow {
		t.Errorf("in a window without requests: %d, wanted %d", n, 3*budgetWindow)
	}
	if n := takes(&b, 5*budgetWindow, 9000, 20, 0); n != 0 {
		t.Errorf("without a minimum and a look before: %d, wanted none", n)
	}
	b.look(at(6*budgetWindow), 10000)
	if n := takes(&b, 6*budgetWindow+1, 10100, 20, 0); n != 20 {
		t.Errorf("a second after a look: %d, wanted 20 of the 100 since", n)
	}
	if used, refused := b.used.Load(), b.refused.Load(); used != 30+200+30+30+20 || refused != 7 {
		t.Errorf("%d used and %d refused, wanted 310 and 7", used, refused)
	}
}

// The budget of a pool is the pool's, whatever table it is in.
func TestBudgetOutlivesReload(t *testing.T) {
	cfg := Config{Name: "p", Retry: RetryConfig{Minimum: -1}, Backends: []BackendConfig{{Route: "node1", Address: harness.FreeAddress(t)}}}
	old := table(t, io.Discard, nil, cfg)
	p := old.Pools()[0]
	now := time.Now()
	p.budget.look(now, 0)
	for range 100 {
		p.Backends()[0].Begin()
		p.Backends()[0].End()
	}
	if !p.Repeat(now) {
		t.Fatal("100 requests allow no repeat")
	}
	cfg.Retry.Percent = -1
	p = table(t, io.Discard, old, cfg).Pools()[0]
	if p.Repeat(now) {
		t.Error("a budget of nothing allows a repeat")
	}
	if sent, refused := p.Repeats(); sent != 1 || refused != 1 {
		t.Errorf("%d and %d, wanted one of each", sent, refused)
	}
}
