package upstream

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func bigPool(tb testing.TB, n int, by Balance) *Pool {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("n%d w=%d dom=d%d", i+1, i%3+1, i%4)
	}
	return table(tb, io.Discard, nil, Config{Name: "p", Balance: by, Backends: nodes(lines...)}).Pools()[0]
}

func TestNoAllocations(t *testing.T) {
	p := bigPool(t, 40, BalanceTraffic)
	out := p.Backends()[2]
	out.ReportRefused(errOut)
	own, failed, unknown := [][]byte{[]byte("n7")}, [][]byte{[]byte("n3")}, [][]byte{[]byte("x"), []byte("d9.y")}
	tried := []*Backend{p.Backends()[3]}
	tab := table(t, io.Discard, nil,
		Config{Name: "a", Match: []string{"shop.example.com/*", "*.example.com/*"}, Backends: nodes("n1")},
		Config{Name: "b", Match: []string{"/shop/*"}, Backends: nodes("n1")})
	host, path := []byte("WWW.Example.com:8080"), []byte("/shop/;jsessionid=A.n1/../%61/b")
	s := serve(t, "127.0.0.1:0", echo)
	b := onePool(t, s.addr, Timeouts{})
	b.Release(acquire(t, b), time.Now())
	for name, f := range map[string]func(){
		"choose own":      func() { _, _, _ = p.Choose(own, nil) },
		"choose failover": func() { _, _, _ = p.Choose(failed, nil) },
		"choose retry":    func() { _, _, _ = p.Choose(unknown, tried) },
		"match":           func() { tab.Match(host, path) },
		"reports":         func() { out.ReportRefused(errOut); b.ReportAnswer(); b.SetAdapterSeen(b.Epoch(), true) },
		"acquire": func() {
			c, err := b.Acquire(nil, time.Now(), LookNow)
			if err != nil || !c.Reused {
				t.Fatal(c, err)
			}
			c.SetReadTimeout(time.Minute)
			b.Begin()
			b.AddTraffic(1, 1)
			b.End()
			b.Release(c, time.Now())
		},
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func BenchmarkChoose(b *testing.B) {
	for _, by := range []Balance{BalanceRequests, BalanceBusyness} {
		for _, n := range []int{2, 10, 1000} {
			p := bigPool(b, n, by)
			b.Run(fmt.Sprintf("%s/%d", by, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, _, _ = p.Choose(nil, nil)
				}
			})
		}
	}
	p := bigPool(b, 1000, BalanceRequests)
	routes := [][]byte{[]byte("n500")}
	b.Run("own/1000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _, _ = p.Choose(routes, nil)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	var configs []Config
	for i := range 20 {
		configs = append(configs, Config{Name: fmt.Sprint(i), Match: []string{fmt.Sprintf("h%d.example.com/*", i), fmt.Sprintf("/app%d/*", i)}, Backends: nodes("n1")})
	}
	tab := table(b, io.Discard, nil, configs...)
	for name, c := range map[string][2]string{
		"host":    {"h7.example.com", "/shop/list/7"},
		"path":    {"other.example.com:8080", "/app7/list/7"},
		"rewrite": {"h7.example.com", "/shop/./list/7;jsessionid=ABCDEF.node1"},
	} {
		host, path := []byte(c[0]), []byte(c[1])
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tab.Match(host, path)
			}
		})
	}
}

// BenchmarkAcquireRelease is the price of a kept connection: one recv, and the list's lock twice.
func BenchmarkAcquireRelease(b *testing.B) {
	s := serve(b, "127.0.0.1:0", hold)
	backend := onePool(b, s.addr, Timeouts{})
	now := time.Now()
	backend.Release(acquire(b, backend), now)
	b.ReportAllocs()
	for b.Loop() {
		c, err := backend.Acquire(nil, now, LookNow)
		if err != nil {
			b.Fatal(err)
		}
		backend.Release(c, now)
	}
}

// BenchmarkRebuild is the price of a change of state in a large pool.
func BenchmarkRebuild(b *testing.B) {
	p := bigPool(b, 1000, BalanceRequests)
	p.log = zerolog.Nop()
	for b.Loop() {
		p.rebuild()
	}
}
