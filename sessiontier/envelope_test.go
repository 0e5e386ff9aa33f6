package sessiontier

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
)

func sampleEnvelope() envelope {
	return envelope{
		incarnation: 1700000000000, version: Version{2, 8}, owner: "node1", created: 1700000000000, stored: 1700000001234,
		ttl: 1800 * time.Second, state: []byte("state"),
	}
}

func TestEnvelopeLayout(t *testing.T) {
	e := sampleEnvelope()
	b, err := encodePlain(&e, Key{Pool: "shop", App: "localhost/", BaseID: "ABC"})
	if err != nil {
		t.Fatal(err)
	}
	want := "RHYD\x01\x00" + "\x00\x04\x00\x0a\x00\x03\x00\x05\x00\x00" +
		"\x00\x00\x01\x8b\xcf\xe5\x68\x00" + "\x00\x00\x00\x00\x00\x00\x00\x02" + "\x00\x00\x00\x00\x00\x00\x00\x08" +
		"\x00\x00\x01\x8b\xcf\xe5\x68\x00" + "\x00\x00\x01\x8b\xcf\xe5\x6c\xd2" + "\x00\x00\x00\x00\x00\x1b\x77\x40" +
		"\x00\x00\x00\x05\x00\x00\x00\x00" + "shop" + "localhost/" + "ABC" + "node1" + "state"
	want += string(binary.BigEndian.AppendUint64(nil, xxhash.Sum64String(want)))
	if string(b) != want {
		t.Errorf("got  %x\nwant %x", b, want)
	}
}

func TestEnvelopeRoundTrip(t *testing.T) {
	k := key("ABC-n1")
	for _, change := range []func(*envelope){
		func(e *envelope) {},
		func(e *envelope) { e.tombstone, e.state = true, nil },
		func(e *envelope) { e.state, e.owner = nil, "" },
		func(e *envelope) { e.state = bytes.Repeat([]byte{0}, 1<<20) },
		func(e *envelope) { e.ttl = 0 },
		func(e *envelope) { e.ttl = time.Duration(maxMilliseconds) * time.Millisecond },
		func(e *envelope) { e.version = Version{math.MaxUint64, math.MaxUint64}; e.stored = -5 },
	} {
		e := sampleEnvelope()
		change(&e)
		b, err := encodePlain(&e, k)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodePlain(b, k)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.state) == 0 {
			got.state = e.state
		}
		if !reflect.DeepEqual(got, e) {
			t.Errorf("got %+v, want %+v", got, e)
		}
	}
	e := sampleEnvelope()
	e.owner = strings.Repeat("x", maxOwnerLength+1)
	if _, err := encodePlain(&e, k); err == nil {
		t.Error("an owner over the limit was encoded")
	}
}

func TestEnvelopeIsStrict(t *testing.T) {
	k := key("ABC")
	resum := func(b []byte) []byte {
		b = b[:len(b)-checksumLength]
		return binary.BigEndian.AppendUint64(b, xxhash.Sum64(b))
	}
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		want   error
	}{
		{"empty", func(b []byte) []byte { return nil }, errShort},
		{"head only", func(b []byte) []byte { return b[:headLength] }, errShort},
		{"magic", func(b []byte) []byte { b[0] = 'X'; return resum(b) }, errMagic},
		{"format", func(b []byte) []byte { b[4] = 3; return resum(b) }, errFormat},
		{"sealed", func(b []byte) []byte { b[4] = sealedFormat; return resum(b) }, errNoKeys},
		{"flags", func(b []byte) []byte { b[5] = 4; return resum(b) }, errFlags},
		{"reserved 14", func(b []byte) []byte { b[15] = 1; return resum(b) }, errReserved},
		{"a length before compression", func(b []byte) []byte { b[71] = 1; return resum(b) }, errValues},
		{"compressed", func(b []byte) []byte { b[5], b[71] = flagCompressed, 9; return resum(b) }, errPacked},
		{"checksum", func(b []byte) []byte { b[len(b)-1]++; return b }, errChecksum},
		{"surplus", func(b []byte) []byte { return resum(append(b, 0)) }, errLengths},
		{"state length", func(b []byte) []byte { b[64] = 0xff; return resum(b) }, errLengths},
		{"names moved", func(b []byte) []byte { b[7], b[9] = b[7]-1, b[9]+1; return resum(b) }, errOtherKey},
		{"other id", func(b []byte) []byte { b[headLength+len(k.Pool)+len(k.App)]++; return resum(b) }, errOtherKey},
		{"ttl", func(b []byte) []byte { b[56] = 0xff; return resum(b) }, errValues},
		{"tombstone with state", func(b []byte) []byte { b[5] = flagTombstone; return resum(b) }, errValues},
	} {
		e := sampleEnvelope()
		b, err := encodePlain(&e, k)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodePlain(c.change(b), k); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestEnvelopeAnyChangedBitIsSeen(t *testing.T) {
	k := key("ABC")
	e := sampleEnvelope()
	b, err := encodePlain(&e, k)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(b) * 8 {
		b[i/8] ^= 1 << (i % 8)
		if _, err := decodePlain(b, k); err == nil {
			t.Errorf("bit %d of byte %d changed: not seen", i%8, i/8)
		}
		b[i/8] ^= 1 << (i % 8)
	}
}

func TestEnvelopeOrder(t *testing.T) {
	ordered := []envelope{ // each is older than the next
		{incarnation: 5, version: Version{1, 1}, owner: "a"},
		{incarnation: 5, version: Version{1, 2}, owner: "a"},
		{incarnation: 5, version: Version{1, 1}, owner: "b"},
		{incarnation: 5, version: Version{2, 0}, owner: "a"},
		{incarnation: 5, tombstone: true},
		{incarnation: 6, version: Version{1, 1}, owner: "a"},
		{incarnation: 7, tombstone: true},
	}
	for i := range ordered {
		for j := range ordered {
			want := 0
			if i != j {
				want = 1 - 2*boolToInt(i < j)
			}
			if got := ordered[i].compare(&ordered[j]); got != want {
				t.Errorf("compare(%d, %d) = %d, want %d", i, j, got, want)
			}
		}
	}
}

// TestEnvelopeOrderOfUnknownIncarnation: the version decides, but for a tombstone.
func TestEnvelopeOrderOfUnknownIncarnation(t *testing.T) {
	unknown := envelope{version: Version{2, 5}}
	for _, c := range []struct {
		other envelope
		want  int
	}{
		{envelope{incarnation: 5, version: Version{1, 9}}, 1},
		{envelope{incarnation: 5, version: Version{2, 6}}, -1},
		{envelope{incarnation: 5, tombstone: true}, -1},
		{envelope{version: Version{2, 4}}, 1},
	} {
		if got := unknown.compare(&c.other); got != c.want {
			t.Errorf("against %+v: %d, want %d", c.other, got, c.want)
		}
		if got := c.other.compare(&unknown); got != -c.want {
			t.Errorf("%+v against it: %d, want %d", c.other, got, -c.want)
		}
	}
	at := func(inc, generation uint64) entry {
		return entry{found: true, env: envelope{incarnation: inc, version: Version{generation, 0}}}
	}
	for _, entries := range [][]entry{{at(0, 3), at(100, 5), at(200, 1)}, {at(200, 1), at(0, 3), at(100, 5)}, {at(100, 5), at(200, 1), at(0, 3)}} {
		v := view{entries: entries}
		if v.findNewest(); v.newest.incarnation != 0 {
			t.Errorf("the newest is of incarnation %d, want the unknown one whatever the order", v.newest.incarnation)
		}
	}
}

func FuzzDecodeEnvelope(f *testing.F) {
	k := key("ABC")
	for _, e := range []envelope{sampleEnvelope(), {tombstone: true}, {}} {
		b, err := encodePlain(&e, k)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:len(b)-checksumLength])
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		b = binary.BigEndian.AppendUint64(b[:len(b):len(b)], xxhash.Sum64(b)) // or nothing would get past the checksum
		e, err := decodePlain(b, k)
		if err != nil {
			return
		}
		again, err := encodePlain(&e, k)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("what was read is written otherwise (error %v):\n%x\n%x", err, b, again)
		}
	})
}

func BenchmarkEnvelope(b *testing.B) {
	k := key("0123456789ABCDEF0123456789ABCDEF")
	e := sampleEnvelope()
	e.state = make([]byte, 1024)
	coded, err := encodePlain(&e, k)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode 1 KiB", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := encodePlain(&e, k); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode 1 KiB", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodePlain(coded, k); err != nil {
				b.Fatal(err)
			}
		}
	})
}
