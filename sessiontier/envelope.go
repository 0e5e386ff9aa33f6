package sessiontier

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cespare/xxhash/v2"
)

// envelope is what a node keeps under a store key: one copy of a session, or the tombstone of one that ended.
//
// Its incarnation tells a session from an earlier one of the same id: the time in milliseconds at which its first version was
// stored, raised above the tombstone before it; 0 where the first version was never seen.
type envelope struct {
	tombstone   bool
	incarnation uint64
	version     Version
	owner       string
	created     int64 // ms since 1970 at which the tier first stored this incarnation
	stored      int64 // ms since 1970 at which this copy was written
	ttl         time.Duration
	state       []byte
}

// The layout, big endian; README.md has it as a table.
const (
	envelopeMagic   = "RHYD"
	envelopeFormat  = 1
	flagTombstone   = 1 << 0
	knownFlags      = flagTombstone
	headLength      = 72
	checksumLength  = 8
	maxOwnerLength  = 1024
	minEnvelopeSize = headLength + checksumLength
)

// compare orders two envelopes of one key: by incarnation, if both are known; a tombstone beats every version of its incarnation; then
// by generation, owner, counter. The owner comes before the counter so that, should a partition ever give one generation to two
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
	return cmp.Compare(e.version.Counter, o.version.Counter)
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

// encodedLength is the number of bytes that encode returns.
func (e *envelope) encodedLength(k Key) int {
	return headLength + len(k.Pool) + len(k.App) + len(k.BaseID) + len(e.owner) + len(e.state) + checksumLength
}

// encode returns the copy of key k as a node keeps it, in one allocation.
func (e *envelope) encode(k Key) ([]byte, error) {
	if len(e.owner) > maxOwnerLength {
		return nil, fmt.Errorf("cannot encode copy: owner of %d bytes, wanted at most %d", len(e.owner), maxOwnerLength)
	}
	if len(e.state) > math.MaxInt32 {
		return nil, fmt.Errorf("cannot encode copy of %d bytes: %w", len(e.state), ErrTooLarge)
	}
	b := make([]byte, 0, e.encodedLength(k))
	b = append(b, envelopeMagic...)
	b = append(b, envelopeFormat, byte(boolToInt(e.tombstone)*flagTombstone))
	for _, n := range [...]int{len(k.Pool), len(k.App), len(k.BaseID), len(e.owner), 0} {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	for _, v := range [...]uint64{e.incarnation, e.version.Generation, e.version.Counter,
		uint64(e.created), uint64(e.stored), milliseconds(e.ttl)} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.state)))
	b = binary.BigEndian.AppendUint32(b, 0)
	b = append(b, k.Pool...)
	b = append(b, k.App...)
	b = append(b, k.BaseID...)
	b = append(b, e.owner...)
	b = append(b, e.state...)
	return binary.BigEndian.AppendUint64(b, xxhash.Sum64(b)), nil
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
)

// decodeEnvelope reads a copy strictly and only if it is one of key k: a reply for another key, a changed byte, a surplus byte or
// an unknown flag is an error. The state returned is a part of b.
func decodeEnvelope(b []byte, k Key) (envelope, error) {
	if len(b) < minEnvelopeSize {
		return envelope{}, errShort
	}
	switch {
	case string(b[:4]) != envelopeMagic:
		return envelope{}, errMagic
	case b[4] != envelopeFormat:
		return envelope{}, errFormat
	case xxhash.Sum64(b[:len(b)-checksumLength]) != binary.BigEndian.Uint64(b[len(b)-checksumLength:]):
		return envelope{}, errChecksum
	case b[5]&^knownFlags != 0:
		return envelope{}, errFlags
	case binary.BigEndian.Uint16(b[14:]) != 0 || binary.BigEndian.Uint32(b[68:]) != 0:
		return envelope{}, errReserved
	}
	pool, app := int(binary.BigEndian.Uint16(b[6:])), int(binary.BigEndian.Uint16(b[8:]))
	base, owner := int(binary.BigEndian.Uint16(b[10:])), int(binary.BigEndian.Uint16(b[12:]))
	state := int64(binary.BigEndian.Uint32(b[64:]))
	if int64(pool+app+base+owner)+state != int64(len(b)-minEnvelopeSize) {
		return envelope{}, errLengths
	}
	names := b[headLength:]
	if string(names[:pool]) != k.Pool || string(names[pool:pool+app]) != k.App || string(names[pool+app:pool+app+base]) != k.BaseID {
		return envelope{}, errOtherKey
	}
	ttl := binary.BigEndian.Uint64(b[56:])
	e := envelope{
		tombstone:   b[5]&flagTombstone != 0,
		incarnation: binary.BigEndian.Uint64(b[16:]),
		version:     Version{Generation: binary.BigEndian.Uint64(b[24:]), Counter: binary.BigEndian.Uint64(b[32:])},
		owner:       string(names[pool+app+base : pool+app+base+owner]),
		created:     int64(binary.BigEndian.Uint64(b[40:])),
		stored:      int64(binary.BigEndian.Uint64(b[48:])),
		ttl:         time.Duration(ttl) * time.Millisecond,
		state:       names[pool+app+base+owner : len(names)-checksumLength : len(names)-checksumLength],
	}
	if ttl > maxMilliseconds || e.tombstone && state != 0 || owner > maxOwnerLength {
		return envelope{}, errValues
	}
	return e, nil
}
