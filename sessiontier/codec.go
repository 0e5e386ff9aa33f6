package sessiontier

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
)

// codec makes copies of envelopes and reads them: compressed above a size, then sealed if there are keys, else with a checksum.
type codec struct {
	sealing       atomic.Pointer[sealing]
	compressAbove int // bytes of state; 0: never
	packer        *zstd.Encoder
	unpacker      *zstd.Decoder
	maxState      int
}

// newCodec returns a codec for states of at most maxState bytes.
func newCodec(seal sealing, compressAbove, maxState int) (*codec, error) {
	c := &codec{compressAbove: compressAbove, maxState: maxState}
	c.sealing.Store(&seal)
	var err error
	if c.packer, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1)); err != nil {
		return nil, fmt.Errorf("cannot set up compression: %w", err)
	}
	// A state that says it unpacks to more than is kept is refused before a byte of it is unpacked.
	if c.unpacker, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(max(maxState, 1<<10)))); err != nil {
		return nil, fmt.Errorf("cannot set up compression: %w", err)
	}
	return c, nil
}

// encode returns the copy of key k as a node keeps it under storeKey.
func (c *codec) encode(e *envelope, k Key, storeKey string) ([]byte, error) {
	return c.encodeInto(nil, e, k, storeKey)
}

// encodeInto is encode; the copy is in room, whatever that holds, where it is large enough.
func (c *codec) encodeInto(room []byte, e *envelope, k Key, storeKey string) ([]byte, error) {
	if err := e.checkLengths(); err != nil {
		return nil, err
	}
	state, whole := c.pack(e.state)
	key := c.sealing.Load().writer()
	if key == nil {
		b := slices.Grow(room[:0], e.namesLength(k)+len(state)+checksumLength)
		b = e.appendHead(b, k, envelopeFormat, len(state), whole)
		b = append(b, state...)
		return binary.BigEndian.AppendUint64(b, xxhash.Sum64(b)), nil
	}
	b := slices.Grow(room[:0], e.namesLength(k)+1+len(key.id)+key.aead.NonceSize()+len(state)+key.aead.Overhead())
	b = e.appendHead(b, k, sealedFormat, len(state), whole)
	b = append(b, byte(len(key.id)))
	b = append(b, key.id...)
	nonce := b[len(b) : len(b)+key.aead.NonceSize()]
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("cannot seal copy: %w", err)
	}
	b = b[:len(b)+len(nonce)]
	return key.aead.Seal(b, nonce, state, additional(storeKey, b)), nil
}

// additional is what a seal covers beside the state: the store key, and all of the copy before the sealed state, which is key, app,
// incarnation, version, owner, times, and the id of the key that seals.
func additional(storeKey string, before []byte) []byte {
	return append(append(make([]byte, 0, len(storeKey)+len(before)), storeKey...), before...)
}

// pack compresses a state that is large enough, where that makes it smaller. whole is 0 for one that is kept as it is.
func (c *codec) pack(state []byte) (packed []byte, whole int) {
	if c.compressAbove <= 0 || len(state) <= c.compressAbove {
		return state, 0
	}
	if packed = c.packer.EncodeAll(state, nil); len(packed) >= len(state) {
		return state, 0
	}
	return packed, len(state)
}

// decode reads a copy strictly and only if it is one of key k under storeKey. With keys what they sealed is believed, and, unless it
// must be sealed, what is not; without keys only the latter. The state returned may be a part of b.
func (c *codec) decode(b []byte, k Key, storeKey string) (envelope, error) {
	h, err := decodeHead(b, k)
	if err != nil {
		return envelope{}, err
	}
	var state []byte
	seal := c.sealing.Load()
	var by *sealKey
	switch {
	case h.format == envelopeFormat && seal.believesPlain():
		state, err = checked(b, h)
	case h.format == envelopeFormat:
		err = errUnsealed
	case seal.keys == nil:
		err = errNoKeys
	default:
		state, by, err = seal.keys.open(b, h, storeKey)
	}
	if err != nil {
		return envelope{}, err
	}
	if h.state, err = c.unpack(state, h.whole); err != nil {
		return envelope{}, err
	}
	h.outdated = by != seal.writer()
	return h.envelope, nil
}

// checked returns the state of a copy that ends with a checksum.
func checked(b []byte, h head) ([]byte, error) {
	end := len(b) - checksumLength
	if xxhash.Sum64(b[:end]) != binary.BigEndian.Uint64(b[end:]) {
		return nil, errChecksum
	}
	if h.packed != end-h.names {
		return nil, errLengths
	}
	return b[h.names:end:end], nil
}

func (c *codec) unpack(state []byte, whole int) ([]byte, error) {
	if whole == 0 {
		return state, nil
	}
	if whole > c.maxState {
		return nil, errValues
	}
	state, err := c.unpacker.DecodeAll(state, make([]byte, 0, whole))
	if err != nil || len(state) != whole {
		return nil, errPacked
	}
	return state, nil
}
