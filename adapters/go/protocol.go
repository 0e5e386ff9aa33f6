package rehydra

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Names of the protocol's fields, sections 1 and 3.
const (
	fieldPrefix  = "Rehydra-"
	fieldTier    = "Rehydra-Tier"
	fieldID      = "Rehydra-Id"
	fieldHave    = "Rehydra-Have"
	fieldState   = "Rehydra-State"
	fieldOp      = "Rehydra-Op"
	fieldAdapter = "Rehydra-Adapter"
	fieldSession = "Rehydra-Session"
	fieldNeed    = "Rehydra-Need"
)

// What the parameter state of Rehydra-Session says.
const (
	stateInline = "inline" // the new state is in Rehydra-State
	stateSame   = "same"   // this request changed nothing
	stateGone   = "gone"   // the session ended
	stateLate   = "late"   // the last word comes in the trailer section
	statePull   = "pull"   // it may have changed: ask with read
)

// isTier reports whether the request comes from the proxy: exactly one Rehydra-Tier, and the right one. Digests are
// compared, so that the time taken tells neither the token nor its length.
func (m *Manager) isTier(h http.Header) bool {
	given := h[fieldTier]
	if m.options.Token == "" || len(given) != 1 {
		return false
	}
	sum := sha256.Sum256([]byte(given[0]))
	return subtle.ConstantTimeCompare(sum[:], m.token[:]) == 1
}

// parseHave reads Rehydra-Have. What cannot be read, or is there twice, is as ask: the proxy is told to look again, and
// nothing runs with a session that may be old.
func parseHave(fields []string) (haveKind, version) {
	if len(fields) == 0 {
		return haveAbsent, version{}
	}
	if len(fields) > 1 {
		return haveAsk, version{}
	}
	switch fields[0] {
	case "none":
		return haveNone, version{}
	case "gone":
		return haveGone, version{}
	}
	if v, ok := parseVersion(fields[0]); ok {
		return haveVersion, v
	}
	return haveAsk, version{}
}

func decodeState(field string) ([]byte, error) {
	return base64.RawURLEncoding.Strict().DecodeString(field)
}
func encodeState(state []byte) string { return base64.RawURLEncoding.EncodeToString(state) }

// report is one Rehydra-Session field, and the state that goes with it.
type report struct {
	id, was string
	version version
	kind    string
	state   []byte
}

func (m *Manager) formatReport(r report) string {
	b := make([]byte, 0, 128)
	b = append(b, `id="`...)
	b = append(b, r.id...)
	if r.was != "" {
		b = append(b, `"; was="`...)
		b = append(b, r.was...)
	}
	b = append(b, `"; app="`...)
	b = append(b, m.options.App...)
	b = append(b, `"; version=`...)
	b = append(b, r.version.String()...)
	b = append(b, `; ttl=`...)
	b = strconv.AppendInt(b, m.ttlSeconds(), 10)
	b = append(b, `; state=`...)
	return string(append(b, r.kind...))
}

func (m *Manager) formatNeed(id string) string { return `id="` + id + `"; app="` + m.options.App + `"` }

// ttlSeconds returns the time to live in full seconds, at least one; 0 is no limit.
func (m *Manager) ttlSeconds() int64 {
	return int64((m.sessions.ttl + time.Second - 1) / time.Second)
}

// removeFields removes every field of the protocol.
func removeFields(h http.Header) {
	for name := range h {
		if strings.HasPrefix(name, fieldPrefix) {
			delete(h, name)
		}
	}
}
