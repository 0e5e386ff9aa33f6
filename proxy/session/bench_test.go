package session

import (
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rehydra/jvmroute"
	"rehydra/proxy/upstream"
)

// unasked is a store that an unchanged session asks for nothing.
type unasked struct{ Store }

func (unasked) Returns() uint64 { return 0 }

// plainRequest is a request of a session that was seen at b, is stored and does not change, and the answer to it.
type plainRequest struct {
	tier   *Tier
	b      *upstream.Backend
	ids    []jvmroute.Candidate
	answer Fields
	plan   Plan
	head   []byte

	method, host, path []byte
}

func newPlainRequest(tb testing.TB) *plainRequest {
	tb.Helper()
	b, _ := backends(tb)
	t := New(Config{Pool: "shop", Token: "0123456789abcdef0123456789abcdef"}, unasked{}, &Counters{}, zerolog.Nop())
	tb.Cleanup(t.Close)
	id := "0123456789ABCDEF0123456789ABCDEF." + b.Route()
	base, _ := jvmroute.Split([]byte(id))
	key := t.key("localhost/shop", string(base))
	version := Version{Generation: 1, Counter: 7}
	t.noteAt(key, &Report{ID: id, TTL: time.Hour, origin: origin{epoch: b.Epoch()}})
	t.noteStored(key, Record{Version: version, Owner: b.Route(), TTL: time.Hour}, 0, false)
	return &plainRequest{
		tier: t, b: b, method: []byte("GET"), host: []byte("shop.example"), path: []byte("/shop/cart"), ids: []jvmroute.Candidate{{ID: []byte(id)}},
		answer: Fields{
			Adapter: true, Sessions: 1,
			Session: []byte(`id="` + id + `"; app="localhost/shop"; version=` + version.String() + `; ttl=3600; state=same`),
		},
	}
}

func (r *plainRequest) serve(tb testing.TB) {
	p := &r.plan
	r.tier.Plan(p, r.ids, r.method, r.host, r.path, r.path)
	if err := p.Aim(tb.Context(), r.b, nil); err != nil {
		tb.Fatal(err)
	}
	r.head = p.AppendFields(r.head[:0])
	if when := p.Judge(r.b, r.b.Epoch(), r.answer, nil); when != Now {
		tb.Fatalf("to be settled %v, wanted now", when)
	}
	if v := p.Settle(tb.Context(), r.b); v != Acknowledge || p.Outcome() != OutcomeSticky {
		tb.Fatalf("verdict %v, outcome %v", v, p.Outcome())
	}
	p.Done()
}

func TestUnchangedSessionDoesNotAllocate(t *testing.T) {
	r := newPlainRequest(t)
	r.serve(t) // buffers
	if n := testing.AllocsPerRun(100, func() { r.serve(t) }); n != 0 {
		t.Errorf("%v allocations for a request that changes nothing, wanted none", n)
	}
}

func BenchmarkUnchanged(b *testing.B) {
	r := newPlainRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		r.serve(b)
	}
}

func BenchmarkParseReport(b *testing.B) {
	r := newPlainRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseReport(r.answer.Session); err != nil {
			b.Fatal(err)
		}
	}
}
