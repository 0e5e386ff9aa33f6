package session

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"rehydra/jvmroute"
)

// Names of the fields of the session protocol, sections 1 and 3.
const (
	FieldTier    = "Rehydra-Tier"
	FieldID      = "Rehydra-Id"
	FieldHave    = "Rehydra-Have"
	FieldState   = "Rehydra-State"
	FieldOp      = "Rehydra-Op"
	FieldAdapter = "Rehydra-Adapter"
	FieldSession = "Rehydra-Session"
	FieldNeed    = "Rehydra-Need"
)

// maxAppLength bounds an app's name, which becomes part of what the store keeps.
const maxAppLength = 255

// StateKind is the parameter state of Rehydra-Session.
type StateKind uint8

// What a response says of its session's state.
const (
	StateMissing StateKind = iota // no Rehydra-Session at all
	StateSame                     // this request changed nothing
	StateInline                   // the new state is in Rehydra-State
	StateLate                     // the last word comes in the trailer section
	StatePull                     // it may have changed: ask with read
	StateGone                     // the session ended
)

// parseState reads the parameter state. It comes with every answer: a switch is faster than a map.
func parseState(v []byte) (kind StateKind, ok bool) {
	switch string(v) {
	case "same":
		return StateSame, true
	case "inline":
		return StateInline, true
	case "late":
		return StateLate, true
	case "pull":
		return StatePull, true
	case "gone":
		return StateGone, true
	}
	return StateMissing, false
}

// Report is what a response says of a session: one Rehydra-Session field and,
// with StateInline, the Rehydra-State beside it. Its strings and bytes are
// not those of the field.
type Report struct {
	ID      string // the session's id after the request
	Base    string // up to the first dot of ID
	WasBase string // the base id before, where it changed; else ""
	App     string
	Version Version
	TTL     time.Duration
	Kind    StateKind
	State   []byte

	origin
}

// origin is where a report comes from.
type origin struct {
	epoch   uint64 // of the backend, when the connection was made that the answer came on
	adapter bool   // the answer had an adapter's mark
	began   began  // of non-sticky mode

	continued bool // the backend had the session already when the request came
}

// Need is the field Rehydra-Need of a 428: the session that the backend lacks.
type Need struct {
	ID, Base, App string
}

var errMalformed = errors.New("malformed")

// familiar is what a report is expected to say again: its strings are used for the
// same bytes, which saves an unchanged session all allocations.
type familiar struct {
	id, base, app string
}

// idAndBase reads the parameter id. One that is familiar has been found valid before.
func (f *familiar) idAndBase(v []byte) (id, base string, ok bool) {
	if f.id != "" && f.id == string(v) {
		return f.id, f.base, true
	}
	id, base = idAndBase(v)
	return id, base, jvmroute.Valid(v)
}

func (f *familiar) appOf(v []byte) string {
	if f.app == string(v) {
		return f.app
	}
	return string(v)
}

// ParseReport reads the value of Rehydra-Session. Unknown parameters are
// ignored; one that is missing, given twice or out of range is an error that
// names the parameter and quotes nothing.
func ParseReport(value []byte) (Report, error) { return parseReport(value, familiar{}) }

func parseReport(value []byte, known familiar) (Report, error) {
	var r Report
	var seen uint8
	err := eachParameter(value, func(name, v []byte) error {
		bit, err := r.set(name, v, &known)
		if err != nil {
			return err
		}
		if bit != 0 && seen&bit != 0 {
			return fmt.Errorf("parameter %s given twice: %w", name, errMalformed)
		}
		seen |= bit
		return nil
	})
	if err != nil {
		return Report{}, err
	}
	const wanted = bitID | bitApp | bitState
	if seen&wanted != wanted {
		return Report{}, fmt.Errorf("id, app and state are wanted: %w", errMalformed)
	}
	if seen&bitVersion == 0 && r.Kind != StateGone {
		return Report{}, fmt.Errorf("version is wanted: %w", errMalformed)
	}
	return r, nil
}

const (
	bitID uint8 = 1 << iota
	bitWas
	bitApp
	bitVersion
	bitTTL
	bitState
)

func (r *Report) set(name, v []byte, known *familiar) (bit uint8, err error) {
	ok := true
	switch string(name) {
	case "id":
		bit = bitID
		r.ID, r.Base, ok = known.idAndBase(v)
	case "was":
		bit, ok = bitWas, jvmroute.Valid(v)
		_, r.WasBase = idAndBase(v)
	case "app":
		bit, ok = bitApp, validApp(v)
		r.App = known.appOf(v)
	case "version":
		bit = bitVersion
		r.Version, ok = ParseVersion(v)
	case "ttl":
		bit = bitTTL
		r.TTL, ok = parseSeconds(v)
	case "state":
		bit = bitState
		r.Kind, ok = parseState(v)
	}
	if !ok {
		return bit, fmt.Errorf("parameter %s: %w", name, errMalformed)
	}
	return bit, nil
}

// ParseNeed reads the value of Rehydra-Need.
func ParseNeed(value []byte) (Need, error) {
	var n Need
	err := eachParameter(value, func(name, v []byte) error {
		switch string(name) {
		case "id":
			if !jvmroute.Valid(v) {
				return fmt.Errorf("parameter id: %w", errMalformed)
			}
			n.ID, n.Base = idAndBase(v)
		case "app":
			if !validApp(v) {
				return fmt.Errorf("parameter app: %w", errMalformed)
			}
			n.App = string(v)
		}
		return nil
	})
	if err == nil && (n.ID == "" || n.App == "") {
		err = fmt.Errorf("id and app are wanted: %w", errMalformed)
	}
	return n, err
}

func idAndBase(v []byte) (id, base string) {
	b, _ := jvmroute.Split(v)
	id = string(v)
	return id, id[:len(b)]
}

func validApp(v []byte) bool {
	if len(v) == 0 || len(v) > maxAppLength {
		return false
	}
	for _, c := range v {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// maxSeconds is what fits a time.Duration with room to spare: about 31 years.
const maxSeconds = 1_000_000_000

// parseSeconds reads a decimal number of seconds; 0 or less means no limit, and
// so does one beyond maxSeconds.
func parseSeconds(v []byte) (time.Duration, bool) {
	if len(v) > 0 && v[0] == '-' {
		_, next, ok := parseNumber(v, 1)
		return 0, ok && next == len(v)
	}
	n, next, ok := parseNumber(v, 0)
	if !ok || next != len(v) {
		return 0, false
	}
	if n > maxSeconds {
		return 0, true
	}
	return time.Duration(n) * time.Second, true
}

// eachParameter walks `name=value; name="value"`. Names are lower-cased tokens
// in the contract and compared as they are.
func eachParameter(s []byte, f func(name, value []byte) error) error {
	for {
		s = skipBlanks(s)
		eq := bytes.IndexByte(s, '=')
		if eq <= 0 {
			return fmt.Errorf("a parameter without a value: %w", errMalformed)
		}
		name := s[:eq]
		value, rest, ok := parameterValue(s[eq+1:])
		if !ok {
			return fmt.Errorf("a value that does not end: %w", errMalformed)
		}
		if err := f(name, value); err != nil {
			return err
		}
		rest = skipBlanks(rest)
		if len(rest) == 0 {
			return nil
		}
		if rest[0] != ';' {
			return fmt.Errorf("text after a value: %w", errMalformed)
		}
		s = rest[1:]
	}
}

func skipBlanks(s []byte) []byte {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	return s
}

// parameterValue takes a token or a quoted string off s. A quoted string with a
// backslash is refused: no id and no app holds a quote.
func parameterValue(s []byte) (value, rest []byte, ok bool) {
	if len(s) > 0 && s[0] == '"' {
		end := bytes.IndexByte(s[1:], '"')
		if end < 0 || bytes.IndexByte(s[1:1+end], '\\') >= 0 {
			return nil, nil, false
		}
		return s[1 : 1+end], s[end+2:], true
	}
	end := 0
	for end < len(s) && s[end] != ';' && s[end] != ' ' && s[end] != '\t' && s[end] != '"' {
		end++
	}
	return s[:end], s[end:], end > 0
}

// DecodeState decodes the value of Rehydra-State (base64url without padding).
func DecodeState(value []byte) ([]byte, error) { return decodeState(value, nil) }

// decodeState is DecodeState. The state is in room where that is large enough.
func decodeState(value, room []byte) ([]byte, error) {
	n := base64.RawURLEncoding.DecodedLen(len(value))
	state := room[:cap(room)]
	if n > len(state) {
		state = make([]byte, n)
	}
	n, err := base64.RawURLEncoding.Strict().Decode(state, value)
	if err != nil {
		return nil, fmt.Errorf("cannot decode %d bytes of %s: %w", len(value), FieldState, errMalformed)
	}
	return state[:n], nil
}

// AppendState appends state as the value of Rehydra-State.
func AppendState(dst, state []byte) []byte {
	return base64.RawURLEncoding.AppendEncode(dst, state)
}
