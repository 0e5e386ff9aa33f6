package session

import "rehydra/jvmroute"

// ShortenID is Shorten for an id with its route, which is left out.
func ShortenID(id []byte) []byte {
	base, _ := jvmroute.Split(id)
	return base[:min(8, len(base)/2)]
}

// Shorten returns what a log may show of a session id: its first 8 characters,
// at most half of it. A whole id is a credential.
func Shorten(base string) string {
	return base[:min(8, len(base)/2)]
}
