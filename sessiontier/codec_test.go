package sessiontier

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func testCodec(t testing.TB, keys *Keyring, compressAbove int) *codec {
	t.Helper()
	c, err := newCodec(sealing{keys: keys}, compressAbove, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// plain is a codec without keys and compression.
var plain = func() *codec {
	c, err := newCodec(sealing{}, 0, 1_000_000)
	if err != nil {
		panic(err)
	}
	return c
}()

func encodePlain(e *envelope, k Key) ([]byte, error) { return plain.encode(e, k, k.storeKey()) }
func decodePlain(b []byte, k Key) (envelope, error)  { return plain.decode(b, k, k.storeKey()) }

// keyring makes keys from a name each.
func keyring(t testing.TB, names ...string) *Keyring {
	t.Helper()
	var text strings.Builder
	for _, name := range names {
		secret := bytes.Repeat([]byte(name[:1]), 32)
		fmt.Fprintf(&text, "%s %s\n", name, base64.StdEncoding.EncodeToString(secret))
	}
	keys, err := ParseKeyring([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func sealedEnvelope() (*envelope, Key) {
	return &envelope{
		incarnation: 1700000000000, version: Version{2, 8}, owner: "node1", created: 1, stored: 2, ttl: time.Minute,
		state: bytes.Repeat([]byte("state "), 200),
	}, Key{Pool: "shop", App: "localhost/shop", BaseID: "ABC"}
}

func TestCodecRoundTrip(t *testing.T) {
	for name, c := range map[string]*codec{
		"plain":                 testCodec(t, nil, 0),
		"sealed":                testCodec(t, keyring(t, "a", "b"), 0),
		"compressed":            testCodec(t, nil, 100),
		"compressed and sealed": testCodec(t, keyring(t, "a"), 100),
	} {
		for _, tombstone := range []bool{false, true} {
			e, k := sealedEnvelope()
			if e.tombstone = tombstone; tombstone {
				e.state = nil
			}
			b, err := c.encode(e, k, k.storeKey())
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.decode(b, k, k.storeKey())
			if err != nil || got.compare(e) != 0 || got.incarnation != e.incarnation || got.tombstone != tombstone || !bytes.Equal(got.state, e.state) || got.ttl != e.ttl {
				t.Errorf("%s: came back as %+v, %v", name, got, err)
			}
			if strings.Contains(name, "sealed") && bytes.Contains(b, []byte("state state")) {
				t.Errorf("%s: the copy shows the state", name)
			}
			if strings.Contains(name, "compressed") && !tombstone && len(b) > 400 {
				t.Errorf("%s: %d bytes of copy for 1200 bytes that repeat", name, len(b))
			}
		}
	}
}

// A sealed copy that differs in any bit, belongs to another session, or was made under a key that is not there is never believed.
func TestSealFailsClosed(t *testing.T) {
	c := testCodec(t, keyring(t, "a", "b"), 0)
	e, k := sealedEnvelope()
	good, err := c.encode(e, k, k.storeKey())
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if got, err := c.decode(bad, k, k.storeKey()); err == nil {
			t.Fatalf("bit %d changed, and the copy was believed: %+v", i, got)
		}
	}
	for n := range good {
		if _, err := c.decode(good[:n], k, k.storeKey()); err == nil {
			t.Fatalf("cut to %d bytes, and the copy was believed", n)
		}
	}
	if _, err := c.decode(append(bytes.Clone(good), 0), k, k.storeKey()); err == nil {
		t.Error("one byte longer, and the copy was believed")
	}
	if _, err := c.decode(good, k, "r1:elsewhere:ABC"); !errors.Is(err, errSeal) {
		t.Errorf("under another store key: %v, wanted %v", err, errSeal)
	}
	other := k
	other.BaseID = "XYZ"
	if _, err := c.decode(good, other, other.storeKey()); !errors.Is(err, errOtherKey) {
		t.Errorf("of another session: %v, wanted %v", err, errOtherKey)
	}
	if _, err := testCodec(t, keyring(t, "b", "c"), 0).decode(good, k, k.storeKey()); !errors.Is(err, errKey) {
		t.Errorf("under an unknown key: %v, wanted %v", err, errKey)
	}
	if _, err := plain.decode(good, k, k.storeKey()); !errors.Is(err, errNoKeys) {
		t.Errorf("without keys: %v, wanted %v", err, errNoKeys)
	}
	unsealed, err := encodePlain(e, k)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.decode(unsealed, k, k.storeKey()); !errors.Is(err, errUnsealed) {
		t.Errorf("not sealed: %v, wanted %v", err, errUnsealed)
	}
}

// The first key writes, all of them read: keys rotate in three steps.
func TestKeysRotate(t *testing.T) {
	e, k := sealedEnvelope()
	c := testCodec(t, keyring(t, "a"), 0)
	old, err := c.encode(e, k, k.storeKey())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range [][]string{{"a", "b"}, {"b", "a"}} {
		c.sealing.Store(&sealing{keys: keyring(t, step...)})
		if _, err := c.decode(old, k, k.storeKey()); err != nil {
			t.Errorf("with the keys %v: %v", step, err)
		}
	}
	fresh, err := c.encode(e, k, k.storeKey())
	if err != nil {
		t.Fatal(err)
	}
	c.sealing.Store(&sealing{keys: keyring(t, "b")})
	if _, err := c.decode(fresh, k, k.storeKey()); err != nil {
		t.Errorf("sealed by the new key: %v", err)
	}
	if _, err := c.decode(old, k, k.storeKey()); !errors.Is(err, errKey) {
		t.Errorf("sealed by the key that is gone: %v, wanted %v", err, errKey)
	}
}

// A frame that unpacks to more than is kept must not be unpacked.
func TestUnpackIsBounded(t *testing.T) {
	big := testCodec(t, nil, 100)
	big.maxState = 64 << 20
	e, k := sealedEnvelope()
	e.state = make([]byte, 32<<20)
	b, err := big.encode(e, k, k.storeKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := testCodec(t, nil, 100).decode(b, k, k.storeKey()); !errors.Is(err, errValues) {
		t.Errorf("a state of 32 MiB in %d bytes: %v, wanted %v", len(b), err, errValues)
	}
}

func TestKeyFile(t *testing.T) {
	const good = "k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= # the first\n\n# a comment\nk2 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
	keys, err := ParseKeyring([]byte(good))
	if err != nil || len(keys.keys) != 2 || keys.writing().id != "k1" {
		t.Fatalf("got %+v, %v", keys, err)
	}
	for text, want := range map[string]string{
		"":                     "0 keys",
		"# nothing\n":          "0 keys",
		"k1\n":                 "line 1: 1 words",
		"\nk1 a b\n":           "line 2: 3 words",
		"k1 not*base64\n":      "line 1: a key that is not base64",
		"k1 c2hvcnQ=\n":        "line 1: a key of 5 bytes",
		"k/1 c2hvcnQ=\n":       "line 1: an unusable key id",
		good + good:            "line 5: the key id \"k1\" a second time",
		"k1 SECRETSECRETSEC\n": "line 1: a key",
	} {
		_, err := ParseKeyring([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("ParseKeyring(%q) = %v, wanted %q", text, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKeyring(path); err != nil {
		t.Error(err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKeyring(path); err == nil || !strings.Contains(err.Error(), "only its owner") {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
	if _, err := LoadKeyring(path + ".missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func FuzzParseKeyring(f *testing.F) {
	f.Add([]byte("k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= # c\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if keys, err := ParseKeyring(text); err == nil && len(keys.keys) == 0 {
			t.Error("no key, and no error")
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	e, k := sealedEnvelope()
	for name, c := range map[string]*codec{"plain": testCodec(b, nil, 0), "sealed": testCodec(b, keyring(b, "a"), 0)} {
		for _, size := range []int{1 << 10, 20 << 10} {
			e.state = make([]byte, size)
			for i := range e.state {
				e.state[i] = byte(rand.Uint32())
			}
			storeKey := k.storeKey()
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					coded, err := c.encode(e, k, storeKey)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := c.decode(coded, k, storeKey); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
