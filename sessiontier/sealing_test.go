package sessiontier

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rainycape/memcache"
)

func TestParseSealing(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Sealing{"strict": SealStrict, "adopt": SealAdopt, "off": SealOff} {
		if got, err := ParseSealing(name); err != nil || got != want {
			t.Errorf("%q is %v, %v, want %v", name, got, err, want)
		}
	}
	if _, err := ParseSealing("on"); err == nil || !strings.Contains(err.Error(), "strict, adopt or off") {
		t.Errorf(`"on": %v`, err)
	}
}

// TestSealingModes: what each mode writes, which of the copies it believes, and which of them it would write otherwise.
func TestSealingModes(t *testing.T) {
	t.Parallel()
	a, b := keyring(t, "a"), keyring(t, "b", "a")
	made := map[string]sealing{"plain": {}, "by a": {keys: a}, "by b": {keys: b}}
	for name, tc := range map[string]struct {
		seal sealing
		want map[string]string // by what the copy is: "" as it would be written, "outdated", or the reason why it is not believed
	}{
		"no keys":  {sealing{}, map[string]string{"plain": "", "by a": errNoKeys.Error(), "by b": errNoKeys.Error()}},
		"strict":   {sealing{keys: a}, map[string]string{"plain": errUnsealed.Error(), "by a": "", "by b": errKey.Error()}},
		"two keys": {sealing{keys: b}, map[string]string{"plain": errUnsealed.Error(), "by a": "outdated", "by b": ""}},
		"adopt":    {sealing{keys: b, mode: SealAdopt}, map[string]string{"plain": "outdated", "by a": "outdated", "by b": ""}},
		"off":      {sealing{keys: b, mode: SealOff}, map[string]string{"plain": "", "by a": "outdated", "by b": "outdated"}},
	} {
		reader := testCodec(t, nil, 0)
		reader.sealing.Store(&tc.seal)
		for kind, seal := range made {
			writer := testCodec(t, nil, 0)
			writer.sealing.Store(&seal)
			e, k := sealedEnvelope()
			value, err := writer.encode(e, k, k.storeKey())
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if read, err := reader.decode(value, k, k.storeKey()); err != nil {
				got = err.Error()
			} else if read.outdated {
				got = "outdated"
			}
			if got != tc.want[kind] {
				t.Errorf("%s: a copy %s: %q, want %q", name, kind, got, tc.want[kind])
			}
		}
	}
}

// TestSetKeysRefusesLoss: no change of keys may make what is stored unreadable at once.
func TestSetKeysRefusesLoss(t *testing.T) {
	t.Parallel()
	a, b := keyring(t, "a"), keyring(t, "b", "a")
	type step struct {
		keys *Keyring
		mode Sealing
		ok   bool
	}
	for name, steps := range map[string][]step{
		"keys, strict at once":  {{a, SealStrict, false}, {nil, SealStrict, true}},
		"keys, adopted at once": {{a, SealAdopt, true}, {a, SealStrict, true}},
		"keys in three steps":   {{a, SealOff, true}, {a, SealStrict, false}, {a, SealAdopt, true}, {a, SealStrict, true}, {b, SealStrict, true}},
		"no keys any more":      {{a, SealAdopt, true}, {nil, SealStrict, false}, {a, SealOff, true}, {nil, SealStrict, true}},
	} {
		p := openTier(t, nil, nil)
		for i, s := range steps {
			before := p.codec.sealing.Load()
			if err := p.SetKeys(s.keys, s.mode); (err == nil) != s.ok {
				t.Errorf("%s: step %d: %v", name, i+1, err)
			}
			if now := p.codec.sealing.Load(); (now == before) == s.ok {
				t.Errorf("%s: step %d: the keys in use changed: %t, want %t", name, i+1, now != before, s.ok)
			}
		}
	}
}

// sealOf is how a server's copy is sealed: "plain" or the id of a key; "" if there is none.
func sealOf(t *testing.T, s *memcachedServer, k Key) string {
	t.Helper()
	item, err := s.raw(t).Get(k.storeKey())
	if errors.Is(err, memcache.ErrCacheMiss) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	h, err := decodeHead(item.Value, k)
	if err != nil {
		t.Fatal(err)
	}
	if h.format == envelopeFormat {
		return "plain"
	}
	length := int(item.Value[h.names])
	return string(item.Value[h.names+1 : h.names+1+length])
}

// changeKeys changes the keys of all proxies, one after the other, and waits as an operator does for the last one to have sealed everything anew.
func changeKeys(t *testing.T, keys *Keyring, mode Sealing, proxies ...proxy) {
	t.Helper()
	var before uint64
	for _, p := range proxies {
		before = p.heals(0)
		if err := p.SetKeys(keys, mode); err != nil {
			t.Fatal(err)
		}
	}
	proxies[len(proxies)-1].waitHealed(t, 0, before)
}

// TestIdleSessionsAreSealedAnew goes through the life of a seal, with two proxies and sessions that nobody uses meanwhile: from none to one key, to
// another key, and back to none. Nothing is lost at any step, an ended session stays ended, and each time nothing is left of what was before.
func TestIdleSessionsAreSealedAnew(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	first, second := openHealing(t, servers, nil), openHealing(t, servers, nil)
	second.waitHealed(t, 0, 0)
	const sessions = 100
	for i := range sessions {
		r := rec("1.1", "node1", fmt.Sprint("state", i))
		r.TTL = time.Hour
		if i%2 == 0 {
			r.TTL = 0 // no wait would be long enough for those
		}
		first.mustSave(t, key(fmt.Sprint("s", i)), r)
	}
	ended := key("ended")
	first.mustSave(t, ended, rec("1.1", "node1", "a"))
	if err := first.End(t.Context(), ended, time.Hour); err != nil {
		t.Fatal(err)
	}
	check := func(step, want string) {
		t.Helper()
		for i := range sessions {
			k := key(fmt.Sprint("s", i))
			for _, p := range []proxy{first, second} {
				p.wantRecord(t, k, "1.1", "node1", fmt.Sprint("state", i))
			}
			for n, s := range servers {
				if got := sealOf(t, s, k); got != want {
					t.Fatalf("%s: %s on node %d is %q, want %q", step, k.BaseID, n+1, got, want)
				}
			}
		}
		first.wantLookup(t, ended, ErrEnded)
		second.wantLookup(t, ended, ErrEnded)
	}
	a, both, b := keyring(t, "a"), keyring(t, "a", "b"), keyring(t, "b", "a")
	for _, step := range []struct {
		name string
		keys *Keyring
		mode Sealing
		wait bool // whether it changes what is written
		want string
	}{
		{"keys everywhere", a, SealOff, false, "plain"},
		{"adopt", a, SealAdopt, true, "a"},
		{"strict", a, SealStrict, false, "a"},
		{"a second key", both, SealStrict, false, "a"},
		{"it comes first", b, SealStrict, true, "b"},
		{"the first key is retired", keyring(t, "b"), SealStrict, false, "b"},
		{"off", keyring(t, "b"), SealOff, true, "plain"},
		{"no keys", nil, SealStrict, false, "plain"},
	} {
		if step.wait {
			changeKeys(t, step.keys, step.mode, first, second)
		} else {
			for _, p := range []proxy{first, second} {
				if err := p.SetKeys(step.keys, step.mode); err != nil {
					t.Fatalf("%s: %v", step.name, err)
				}
			}
		}
		check(step.name, step.want)
	}
	if first.Stats().Corrupt+second.Stats().Corrupt != 0 {
		t.Errorf("%d and %d copies were not believed, want none", first.Stats().Corrupt, second.Stats().Corrupt)
	}
}

// TestResealedCopyLivesNoLonger: a copy that is sealed anew is kept for what is left of its life.
func TestResealedCopyLivesNoLonger(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 1)
	p := openHealing(t, servers, nil)
	p.waitHealed(t, 0, 0)
	r := rec("1.1", "node1", "a")
	r.TTL = time.Hour
	k := key("aged")
	p.mustSave(t, k, r)
	servers[0].age(t, k, 10*time.Minute)
	changeKeys(t, keyring(t, "a"), SealAdopt, p)
	if got := sealOf(t, servers[0], k); got != "a" {
		t.Fatalf("the copy is %q, want it sealed with a", got)
	}
	servers[0].wantLeft(t, k, 10*time.Minute)
}
