//go:build !race

// The race detector lets a sync.Pool forget some of what it is given, so that lent room is made anew at times.

package sessiontier

import (
	"context"
	"testing"
	"time"
)

// TestSaveAllocations bounds what the next version of a session costs in this process: rank, envelope, remembered handle.
func TestSaveAllocations(t *testing.T) {
	p := openTier(t, nil, nil)
	k := key("0123456789ABCDEF0123456789ABCDEF")
	r := Record{Version: Version{1, 0}, Owner: "node1", TTL: time.Minute, State: make([]byte, 1024)}
	n := testing.AllocsPerRun(200, func() {
		r.Version.Counter++
		if err := p.Save(context.Background(), k, r); err != nil {
			t.Fatal(err)
		}
	})
	if n > 20 {
		t.Errorf("a save in the embedded store allocates %v times, want at most 20", n)
	}
}

// TestSealAllocations bounds what sealing and opening a copy costs: the copy, what the seal covers, and the state.
func TestSealAllocations(t *testing.T) {
	e, k := sealedEnvelope()
	c, storeKey := testCodec(t, keyring(t, "a", "b"), 0), k.storeKey()
	var b []byte
	var err error
	if n := testing.AllocsPerRun(200, func() { b, err = c.encode(e, k, storeKey) }); n > 2 || err != nil {
		t.Errorf("sealing allocates %v times, want at most 2; error %v", n, err)
	}
	if n := testing.AllocsPerRun(200, func() { _, err = c.decode(b, k, storeKey) }); n > 3 || err != nil {
		t.Errorf("opening allocates %v times, want at most 3; error %v", n, err)
	}
}

// TestRankAllocations: the rank of a session costs its own array.
func TestRankAllocations(t *testing.T) {
	p := openTier(t, nil, nil)
	storeKey := key("0123456789ABCDEF0123456789ABCDEF").storeKey()
	if n := testing.AllocsPerRun(200, func() { _ = p.rank(storeKey) }); n > 1 {
		t.Errorf("a rank allocates %v times, want at most once", n)
	}
}

func TestEnvelopeAllocations(t *testing.T) {
	k := key("ABC")
	storeKey := k.storeKey()
	e := sampleEnvelope()
	e.state = make([]byte, 1024)
	b, err := encodePlain(&e, k)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { b, _ = plain.encode(&e, k, storeKey) }); n > 1 {
		t.Errorf("encode allocates %v times, want 1", n)
	}
	if n := testing.AllocsPerRun(100, func() { e, err = plain.decode(b, k, storeKey) }); n > 1 || err != nil {
		t.Errorf("decode allocates %v times, want 1 (the owner); error %v", n, err)
	}
}
