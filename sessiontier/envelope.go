package sessiontier

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// envelope is what a node keeps under a store key: one copy of a session, or the tombstone of one that ended.
//
// Its incarnation tells a session from an earlier one of the same id: the time in milliseconds at which its first version was
// stored, raised above the tombstone before it; 0 where the first version was never seen.
type envelope struct {
	tombstone   bool
	incarnation uint64
	version     Version
	base        Version // of a claim: the version whose state it hands over; zero: not a claim's, not known, or the claim holds whatever else there is
	joined      bool    // of a claim with a base: that is not what the claim was made from at first
	owner       string
	created     int64 // ms since 1970 at which the tier first stored this incarnation
	stored      int64 // ms since 1970 at which this copy was written
	ttl         time.Duration
	state       []byte
	outdated    bool // of what was read: it is not sealed, or not by the key, as it would be if it were written now
}

// The layout, big endian; README.md has it as a table.
const (
	envelopeMagic   = "RHYD"
	envelopeFormat  = 1 // ends with a checksum
	sealedFormat    = 2 // ends with a key id, a nonce, and the state sealed
	flagTombstone   = 1 << 0
	flagCompressed  = 1 << 1 // the state is a zstd frame
	knownFlags      = flagTombstone | flagCompressed
	headLength      = 72
	checksumLength  = 8
	maxOwnerLength  = 1024
	minEnvelopeSize = headLength + checksumLength
)

// compare orders two envelopes of one key: by incarnation, if both are known; a tombstone beats every version of its incarnation; then
// by generation, owner, counter, and of one claim by the states. The owner comes before the counter so that, should a partition ever give one generation to two
// owners, all proxies agree on one of them and their counters do not interleave. A version of an unknown incarnation is taken to be
// of the other's: it must neither lose to an older version nor win over a tombstone.
func (e *envelope) compare(o *envelope) int {
	if e.incarnation != 0 && o.incarnation != 0 {
		if c := cmp.Compare(e.incarnation, o.incarnation); c != 0 {
			return c
		}
	}
	if e.tombstone || o.tombstone {
		return boolToInt(e.tombstone) - boolToInt(o.tombstone)
	}
	if c := cmp.Compare(e.version.Generation, o.version.Generation); c != 0 {
		return c
	}
	if c := cmp.Compare(e.owner, o.owner); c != 0 {
		return c
	}
	if c := cmp.Compare(e.version.Counter, o.version.Counter); c != 0 {
		return c
	}
	return e.content().Compare(o.content())
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// record is the envelope as callers see it.
func (e *envelope) record() Record {
	return Record{Version: e.version, Owner: e.owner, TTL: e.ttl, State: e.state}
}

// namesLength is the number of bytes of the head and the names after it.
func (e *envelope) namesLength(k Key) int {
	return headLength + len(k.Pool) + len(k.App) + len(k.BaseID) + len(e.owner)
}

// checkLengths refuses what the layout cannot hold.
func (e *envelope) checkLengths() error {
	if len(e.owner) > maxOwnerLength {
		return fmt.Errorf("cannot encode copy: owner of %d bytes, wanted at most %d", len(e.owner), maxOwnerLength)
	}
	if len(e.state) > math.MaxInt32 {
		return fmt.Errorf("cannot encode copy of %d bytes: %w", len(e.state), ErrTooLarge)
	}
	return nil
}

// appendHead appends the head and the names. packed is the state's length as it is kept; whole its length before compression, 0 if it is
// not compressed.
func (e *envelope) appendHead(b []byte, k Key, format byte, packed, whole int) []byte {
	flags := boolToInt(e.tombstone) * flagTombstone
	if whole > 0 {
		flags |= flagCompressed
	}
	b = append(b, envelopeMagic...)
	b = append(b, format, byte(flags))
	for _, n := range [...]int{len(k.Pool), len(k.App), len(k.BaseID), len(e.owner), 0} {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	for _, v := range [...]uint64{e.incarnation, e.version.Generation, e.version.Counter,
		e.origin(), uint64(e.stored), milliseconds(e.ttl)} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(packed))
	b = binary.BigEndian.AppendUint32(b, uint32(whole))
	b = append(b, k.Pool...)
	b = append(b, k.App...)
	b = append(b, k.BaseID...)
	return append(b, e.owner...)
}

// maxMilliseconds is the longest time.Duration in whole milliseconds.
const maxMilliseconds = math.MaxInt64 / uint64(time.Millisecond)

// milliseconds rounds a time to live up; 0 stands for no limit.
func milliseconds(ttl time.Duration) uint64 {
	if ttl <= 0 {
		return 0
	}
	return min(uint64(ttl-1)/uint64(time.Millisecond)+1, maxMilliseconds)
}

// Why a copy is not believed. It then counts as absent.
var (
	errShort    = errors.New("too short")
	errMagic    = errors.New("not a copy of ours")
	errFormat   = errors.New("unknown format version")
	errFlags    = errors.New("unknown flags")
	errReserved = errors.New("reserved bytes are not zero")
	errLengths  = errors.New("lengths do not add up")
	errChecksum = errors.New("checksum does not match")
	errOtherKey = errors.New("belongs to another session")
	errValues   = errors.New("holds impossible values")
	errUnsealed = errors.New("is not sealed")
	errNoKeys   = errors.New("is sealed, and no key is configured")
	errKey      = errors.New("is sealed with a key that is not configured")
	errSeal     = errors.New("seal does not fit")
	errPacked   = errors.New("compressed state is not readable")
)

// keyOf returns the key that a copy says it has. It is to be believed only as far as the copy is.
func keyOf(b []byte) (Key, error) {
	if len(b) < minEnvelopeSize {
		return Key{}, errShort
	}
	pool, app, base := int(binary.BigEndian.Uint16(b[6:])), int(binary.BigEndian.Uint16(b[8:])), int(binary.BigEndian.Uint16(b[10:]))
	names := b[headLength:]
	if pool+app+base > len(names) {
		return Key{}, errLengths
	}
	return Key{Pool: string(names[:pool]), App: string(names[pool : pool+app]), BaseID: string(names[pool+app : pool+app+base])}, nil
}

// head is what a copy says of itself before its state: the envelope without a state, and where the rest lies.
type head struct {
	envelope
	format        byte
	names         int // bytes of head and names: what follows them is the format's own
	packed, whole int // the state's length as kept, and before compression (0: it is not compressed)
}

// decodeHead reads the head strictly and only if it is one of key k: an unknown flag, a length that cannot be or another key is an error.
func decodeHead(b []byte, k Key) (head, error) {
	if len(b) < minEnvelopeSize {
		return head{}, errShort
	}
	switch {
	case string(b[:4]) != envelopeMagic:
		return head{}, errMagic
	case b[4] != envelopeFormat && b[4] != sealedFormat:
		return head{}, errFormat
	case b[5]&^knownFlags != 0:
		return head{}, errFlags
	case binary.BigEndian.Uint16(b[14:]) != 0:
		return head{}, errReserved
	}
	pool, app := int(binary.BigEndian.Uint16(b[6:])), int(binary.BigEndian.Uint16(b[8:]))
	base, owner := int(binary.BigEndian.Uint16(b[10:])), int(binary.BigEndian.Uint16(b[12:]))
	names := b[headLength:]
	if pool+app+base+owner > len(names) {
		return head{}, errLengths
	}
	if string(names[:pool]) != k.Pool || string(names[pool:pool+app]) != k.App || string(names[pool+app:pool+app+base]) != k.BaseID {
		return head{}, errOtherKey
	}
	ttl := binary.BigEndian.Uint64(b[56:])
	h := head{
		envelope: envelope{
			tombstone:   b[5]&flagTombstone != 0,
			incarnation: binary.BigEndian.Uint64(b[16:]),
			version:     Version{Generation: binary.BigEndian.Uint64(b[24:]), Counter: binary.BigEndian.Uint64(b[32:])},
			owner:       string(names[pool+app+base : pool+app+base+owner]),
			stored:      int64(binary.BigEndian.Uint64(b[48:])),
			ttl:         time.Duration(ttl) * time.Millisecond,
		},
		format: b[4],
		names:  headLength + pool + app + base + owner,
		packed: int(binary.BigEndian.Uint32(b[64:])),
		whole:  int(binary.BigEndian.Uint32(b[68:])),
	}
	h.setOrigin(binary.BigEndian.Uint64(b[40:]))
	compressed := b[5]&flagCompressed != 0
	if ttl > maxMilliseconds || owner > maxOwnerLength || h.tombstone && h.packed != 0 || compressed != (h.whole != 0) {
		return head{}, errValues
	}
	return h, nil
}
