package rehydra

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
)

// maxIDLength is the longest session id that counts as one; the proxy's limit is the same.
const maxIDLength = 200

// newID returns a session id of 128 random bits and the route: "8C0F....node1".
func newID(route string) string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return withRoute(strings.ToUpper(hex.EncodeToString(b[:])), route)
}

// baseOf returns the id up to its first dot, which is what a session keeps wherever it lives.
func baseOf(id string) string {
	base, _, _ := strings.Cut(id, ".")
	return base
}

// routeOf returns what follows the first dot.
func routeOf(id string) string {
	_, route, _ := strings.Cut(id, ".")
	return route
}

func withRoute(base, route string) string {
	if route == "" {
		return base
	}
	return base + "." + route
}

// validID reports whether id may be a session id: what the proxy accepts as one. Anything else is as no id at all, so that
// an id can stand in a header, a log line and a store key as it is.
func validID(id string) bool {
	if id == "" || len(id) > maxIDLength || id[0] == '.' {
		return false
	}
	for i := 0; i < len(id); i++ {
		if !idByte(id[i]) {
			return false
		}
	}
	return true
}

func idByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("-._~!*+=:", c) >= 0
}

// idsOf returns the usable session ids that the client sent, in its order. A client may hold several cookies of one
// name, set for different paths or domains.
func idsOf(r *http.Request, cookieName string) []string {
	var ids []string
	for _, c := range r.CookiesNamed(cookieName) {
		if validID(c.Value) {
			ids = append(ids, c.Value)
		}
	}
	return ids
}
