package proxy

// sent says how far a request got at a backend that then failed it.
type sent struct {
	bytes    bool // at least one byte of it may have left
	answered bool // at least one byte of an answer came back
	body     bool // some of the body was taken from the client and is not kept
}

// mayRepeat decides, for the whole program, whether a request that failed at one
// backend may be sent again: to a fresh connection or to another backend.
//
//   - Nothing was sent (the connection could not be made): always.
//   - The method is idempotent (RFC 9110, section 9.2.2) and not one byte came
//     back: yes, no application's answer is doubled.
//   - Anything else: no. A POST that may have reached an application is never
//     sent twice.
//
// In each case the body must still be there to be sent. A 428 of the session
// protocol is no failure and does not come here: the application was not called.
func mayRepeat(method []byte, s sent) bool {
	if s.body {
		return false
	}
	if !s.bytes {
		return true
	}
	return !s.answered && idempotent(method)
}

// idempotent reports whether RFC 9110 defines method as idempotent.
func idempotent(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE":
		return true
	}
	return false
}
