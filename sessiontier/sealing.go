package sessiontier

import (
	"errors"
	"fmt"
)

// Sealing says what keys are for. Changing from copies without a seal to sealed ones, and back, takes a step over each of them, so that no
// proxy ever meets a copy that it does not believe.
type Sealing uint8

// The ways to use keys.
const (
	// SealStrict: copies are sealed, and only sealed ones are believed.
	SealStrict Sealing = iota
	// SealAdopt: copies are sealed, and those without a seal are believed too; healing seals them. Whoever can write to a node can
	// then make up sessions, as without keys.
	SealAdopt
	// SealOff: copies are not sealed, and sealed ones are believed too; healing takes their seal away.
	SealOff
)

var sealings = map[string]Sealing{"strict": SealStrict, "adopt": SealAdopt, "off": SealOff}

// ParseSealing reads "strict", "adopt" or "off".
func ParseSealing(name string) (Sealing, error) {
	s, ok := sealings[name]
	if !ok {
		return SealStrict, fmt.Errorf("sealing %q, wanted strict, adopt or off", name)
	}
	return s, nil
}

// sealing is how a codec seals at one moment. It is never changed.
type sealing struct {
	keys *Keyring // nil: nothing is sealed, and nothing sealed can be read
	mode Sealing  // without keys it does not matter
}

// writer is the key that seals; nil: copies are not sealed.
func (s *sealing) writer() *sealKey {
	if s.keys == nil || s.mode == SealOff {
		return nil
	}
	return s.keys.writing()
}

// believesPlain says whether copies without a seal are believed.
func (s *sealing) believesPlain() bool { return s.keys == nil || s.mode != SealStrict }

// writesAs says that both make copies that are sealed alike: by the same key, or not at all.
func (s *sealing) writesAs(o *sealing) bool {
	a, b := s.writer(), o.writer()
	return a == nil && b == nil || a != nil && b != nil && a.id == b.id
}

// SetKeys takes other keys into use for the copies that are written and read from now on. Where they are sealed otherwise than before,
// healing begins to seal all that is stored anew. An error where what is stored would be unreadable at once: keys can only be
// given to a tier that has none, or taken from one, while copies are not sealed, and sealing becomes strict by way of SealAdopt.
func (t *Tier) SetKeys(keys *Keyring, mode Sealing) error {
	old, now := t.codec.sealing.Load(), &sealing{keys: keys, mode: mode}
	switch {
	case old.believesPlain() && old.writer() == nil && !now.believesPlain():
		return errors.New(`cannot seal copies strictly while those that are stored are not sealed: wanted sealing = "adopt" first, or a restart`)
	case old.writer() != nil && keys == nil:
		return errors.New(`cannot give up the keys that copies are sealed with: wanted sealing = "off" first, or a restart`)
	}
	t.codec.sealing.Store(now)
	if !now.writesAs(old) && !t.local {
		for i := range t.nodes {
			t.healer.want(i)
		}
	}
	return nil
}
