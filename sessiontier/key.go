package sessiontier

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"rehydra/jvmroute"
)

// Key names a session. The route is no part of it: a session keeps its key when it changes its backend.
type Key struct {
	Pool   string // the pool's name in the configuration
	App    string // the application as its adapter names it, e.g. "localhost/shop"
	BaseID string // the session id up to its first dot
}

// maxNameLength bounds pool and application, in bytes. It is far above what a configuration or an adapter names, and low enough
// that the head of a copy stays small beside the smallest item limit of memcached.
const maxNameLength = 1024

// maxBaseIDLength is what fits into a key of memcached (250 bytes) after the 26 bytes that stand before the base id.
const maxBaseIDLength = jvmroute.MaxIDLength

// storeKeyPrefix begins each key; its digit is the version of the key's form.
const storeKeyPrefix = "r1:"

// lockKeyPrefix begins the key of a lock, which is made as that of a session without an application.
const lockKeyPrefix = "l1:"

// probeKey is asked for to see whether a node answers. No session can have it: it lacks the second colon.
const probeKey = storeKeyPrefix + "probe"

// digestLength is the length in bytes of the digest of pool and application in a store key.
const digestLength = 16

// A store key must stay within memcached's 250 bytes; this fails to compile if jvmroute ever lets longer ids through.
const _ = uint(250 - len(storeKeyPrefix) - 22 - 1 - maxBaseIDLength)

// check says whether the key can name a copy: the error matches ErrBadKey.
func (k Key) check() error {
	switch {
	case k.Pool == "" || len(k.Pool) > maxNameLength:
		return fmt.Errorf("%w: pool name of %d bytes, wanted 1 to %d", ErrBadKey, len(k.Pool), maxNameLength)
	case len(k.App) > maxNameLength:
		return fmt.Errorf("%w: application name of %d bytes, wanted at most %d", ErrBadKey, len(k.App), maxNameLength)
	case k.BaseID == "" || len(k.BaseID) > maxBaseIDLength:
		return fmt.Errorf("%w: base id of %d bytes, wanted 1 to %d", ErrBadKey, len(k.BaseID), maxBaseIDLength)
	}
	for i := 0; i < len(k.BaseID); i++ {
		if c := k.BaseID[i]; c <= ' ' || c >= 0x7f {
			return fmt.Errorf("%w: base id holds byte 0x%02x at %d, wanted printable ASCII without blanks", ErrBadKey, c, i)
		}
	}
	return nil
}

// storeKey returns the key under which nodes keep the session: "r1:", 22 characters of base64url (the first 16 bytes of the
// SHA-256 of pool and application), ":", and the base id as it is. At most 226 bytes, all of them fit for memcached. Pool and
// application are digested since they may be long and hold blanks; the base id is left readable so that an operator finds it.
func (k Key) storeKey() string { return k.keyWith(storeKeyPrefix) }

// lockKey returns the key of the session's lock: that of a session, with another prefix.
func (k Key) lockKey() string { return k.keyWith(lockKeyPrefix) }

func (k Key) keyWith(prefix string) string {
	var scratch [256]byte
	in := binary.BigEndian.AppendUint16(scratch[:0], uint16(len(k.Pool)))
	in = append(in, k.Pool...)
	in = append(in, k.App...)
	sum := sha256.Sum256(in)

	var out [250]byte
	b := append(out[:0], prefix...)
	b = base64.RawURLEncoding.AppendEncode(b, sum[:digestLength])
	b = append(b, ':')
	b = append(b, k.BaseID...)
	return string(b)
}

// short is the base id as it may stand in a log: its first characters only, since a whole id is as good as a password.
func (k Key) short() string {
	const shown = 6
	if len(k.BaseID) <= shown {
		return k.BaseID
	}
	return k.BaseID[:shown] + "…"
}
