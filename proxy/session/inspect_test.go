package session

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// Whoever has only a session id asks in every app that was seen; Known says
// where the session was, and for how long that is worth anything.
func TestTierTellsWhatItKnows(t *testing.T) {
	tier := New(Config{Pool: "shop"}, nil, &Counters{}, zerolog.Nop())
	defer tier.Close()
	if got := tier.Apps(); len(got) != 0 {
		t.Errorf("apps of a tier that has seen nothing: %q, wanted none", got)
	}
	now := time.Unix(1_000_000, 0)
	for range 2 { // a second time nothing is new
		for _, app := range []string{"localhost/shop", "localhost/", "localhost/shop/admin"} {
			tier.index.update(Key{Pool: "shop", App: app, BaseID: "ABC"}, now, func(k *known) {
				k.stored, k.incomplete, k.seenAt, k.ttl = Version{2, 7}, app == "localhost/", now, time.Minute
			})
		}
	}
	if got, want := tier.Apps(), []string{"localhost/shop", "localhost/", "localhost/shop/admin"}; !slices.Equal(got, want) {
		t.Errorf("apps: %q, wanted %q", got, want)
	}
	if got, want := *tier.index.contexts.Load(), []string{"/shop", "/shop/admin"}; !slices.Equal(got, want) {
		t.Errorf("contexts: %q, wanted %q", got, want)
	}
	found := tier.Known("ABC")
	if len(found) != 3 {
		t.Fatalf("known of ABC: %d apps, wanted 3", len(found))
	}
	want := Known{App: "localhost/", Stored: Version{2, 7}, Incomplete: true, SeenAt: now, TTL: time.Minute}
	if found[1] != want {
		t.Errorf("known: %+v, wanted %+v", found[1], want)
	}
	if got := tier.Known("DEF"); got != nil {
		t.Errorf("known of an id that was never seen: %+v, wanted nothing", got)
	}
}

// An app that counts up its name costs a bounded amount.
func TestAppsAreBounded(t *testing.T) {
	x := newIndex()
	for i := range 2 * maxApps {
		x.addApp(fmt.Sprintf("host/%d", i))
	}
	if got := len(*x.apps.Load()); got != maxApps {
		t.Errorf("%d apps, wanted at most %d", got, maxApps)
	}
	if _, certain := x.contextOf([]byte("/7/x")); certain {
		t.Error("the app of a path is certain although contexts were left out")
	}
}

func TestIndexUpdateDoesNotAllocate(t *testing.T) {
	x := newIndex()
	key, now := Key{Pool: "shop", App: "localhost/shop", BaseID: "ABC"}, time.Unix(1, 0)
	x.update(key, now, func(*known) {})
	if n := testing.AllocsPerRun(100, func() { x.update(key, now, func(k *known) { k.seenAt = now }) }); n != 0 {
		t.Errorf("update of a session that is known: %v allocations, wanted 0", n)
	}
}
