package proxy

import (
	"bufio"
	"encoding/base64"
	"runtime"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"rehydra/jvmroute"
	"rehydra/proxy/http1"
	"rehydra/proxy/session"
	"rehydra/proxy/upstream"
)

// A connection that waits for its next request holds nothing of the one before that is large.
func TestIdleConnectionShedsLargeBuffers(t *testing.T) {
	s := NewServer(Limits{}, &Routing{Table: &upstream.Table{}}, nil, zerolog.Nop())
	x := exchange{s: s, c: &client{}}
	x.begin()
	large := func() []byte { return make([]byte, 0, keepScratch+1) }
	x.headScratch, x.headCopy, x.respScratch, x.respCopy, x.toBackend, x.body.kept = large(), large(), large(), large(), large(), large()
	r := bufio.NewReader(strings.NewReader("0\r\nRehydra-State: " + strings.Repeat("s", 1_000_000) + "\r\n\r\n"))
	x.reply.Reset(r, http1.FramingChunked, 0, http1.TrailerLimits{Bytes: 2_000_000}, true)
	if _, err := x.reply.Read(make([]byte, 1)); !x.reply.Done() || len(x.reply.Trailers()) != 1 {
		t.Fatalf("the trailers were not read: %v", err)
	}
	x.end()
	for i, b := range [][]byte{x.headScratch, x.headCopy, x.respScratch, x.respCopy, x.toBackend, x.body.kept} {
		if b != nil {
			t.Errorf("buffer %d of %d bytes is kept", i, cap(b))
		}
	}
	if n := len(x.reply.Trailers()); n != 0 {
		t.Errorf("%d trailers are kept", n)
	}
}

// The room for a session's state goes on to the next request.
func TestExchangeKeepsRoomForStates(t *testing.T) {
	const size, requests = 5 << 10, 100
	r := routingOf(t, "shop")
	b := r.Table.Pools()[0].Backends()[0]
	tier := session.New(session.Config{Pool: "shop", Token: "0123456789abcdef0123456789abcdef"}, nil, &session.Counters{}, zerolog.Nop())
	defer tier.Close()
	x := exchange{s: NewServer(Limits{}, r, nil, zerolog.Nop()), c: &client{}}
	id, path := []byte("0123456789ABCDEF0123456789ABCDEF."+b.Route()), []byte("/shop/cart")
	ids := []jvmroute.Candidate{{ID: id}}
	answer := session.Fields{
		Adapter: true, Sessions: 1, Session: []byte(`id="` + string(id) + `"; app="localhost/shop"; version=1.7; ttl=3600; state=inline`),
		States: 1, State: []byte(base64.RawURLEncoding.EncodeToString(make([]byte, size))),
	}
	serve := func() {
		x.begin()
		if !tier.Plan(&x.plan, ids, []byte("GET"), []byte("shop.example"), path, path) {
			t.Fatal("the tier ignores the request")
		}
		if when := x.plan.Judge(b, b.Epoch(), answer, nil); when != session.Now {
			t.Fatalf("to be settled %v, wanted now", when)
		}
		x.end()
	}
	serve()
	least := ^uint64(0)
	for range 10 { // once in a while something else allocates
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range requests {
			serve()
		}
		runtime.ReadMemStats(&after)
		least = min(least, (after.TotalAlloc-before.TotalAlloc)/requests)
	}
	if least >= size {
		t.Errorf("%d bytes are allocated for a request with a state of %d", least, size)
	}
}
