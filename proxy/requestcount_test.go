package proxy

import (
	"maps"
	"testing"

	"github.com/rs/zerolog"

	"rehydra/proxy/upstream"
)

// routingOf returns a routing with pools of one backend each.
func routingOf(t testing.TB, pools ...string) *Routing {
	t.Helper()
	configs := make([]upstream.Config, len(pools))
	for i, name := range pools {
		configs[i] = upstream.Config{Name: name, Match: []string{"/" + name + "/*"},
			Backends: []upstream.BackendConfig{{Route: "node1", Address: "127.0.0.1:1", Weight: 1}}}
	}
	table, err := upstream.NewTable(configs, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	return &Routing{Table: table}
}

// Requests are counted under their pool and the class of what the client got,
// over reloads too.
func TestRequestsAreCounted(t *testing.T) {
	first := routingOf(t, "shop", "blog")
	s := NewServer(Limits{}, first, nil, zerolog.Nop())
	count := func(pool *upstream.Pool, statuses ...int) {
		for _, status := range statuses {
			x := exchange{s: s, pool: pool}
			x.event.status = status
			x.countRequest()
		}
	}
	count(first.Table.Pools()[0], 200, 204, 302, 503, 0, 101)
	count(nil, 404, 400)
	second := routingOf(t, "blog", "news")
	s.SetRouting(second)
	count(first.Table.Pools()[0], 599, 600, 999, -1) // began before the reload
	count(second.Table.Pools()[1], 500)
	want := map[string]RequestCount{
		"shop": {4, 1, 2, 1, 0, 2}, "blog": {}, "news": {5: 1}, "": {4: 2},
	}
	if got := s.Requests(); !maps.Equal(got, want) {
		t.Errorf("requests %v, wanted %v", got, want)
	}
}

func TestCountRequestDoesNotAllocate(t *testing.T) {
	r := routingOf(t, "shop")
	x := exchange{s: NewServer(Limits{}, r, nil, zerolog.Nop()), pool: r.Table.Pools()[0]}
	x.event.status = 200
	if n := testing.AllocsPerRun(100, x.countRequest); n != 0 {
		t.Errorf("%v allocations, wanted 0", n)
	}
}

func BenchmarkCountRequest(b *testing.B) {
	table, err := upstream.NewTable([]upstream.Config{{Name: "shop",
		Backends: []upstream.BackendConfig{{Route: "node1", Address: "127.0.0.1:1", Weight: 1}}}}, nil, zerolog.Nop())
	if err != nil {
		b.Fatal(err)
	}
	defer table.Close()
	x := exchange{s: NewServer(Limits{}, &Routing{Table: table}, nil, zerolog.Nop()), pool: table.Pools()[0]}
	x.event.status = 200
	for b.Loop() {
		x.countRequest()
	}
}
