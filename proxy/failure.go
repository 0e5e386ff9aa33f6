package proxy

import (
	"errors"
	"net"
	"os"
	"syscall"

	"rehydra/proxy/http1"
	"rehydra/proxy/session"
	"rehydra/proxy/upstream"
)

// failure is why a request got no answer of an application: the status that the
// client gets, the short reason in the log, and a sentence for the client.
// Neither text ever quotes the request.
type failure struct {
	status     int
	reason     string // the field "failure" of the log event
	sentence   string
	retryAfter bool
}

// losesPlace reports whether where the next request begins is unknown after f,
// so that the connection has to end.
func (f failure) losesPlace() bool {
	return f.status == 400 || f.status == 408 || f.status > 410 && f.status < 500 || f.status == 501 || f.status == 505
}

// The failures of the way to a backend. This is the one table that maps an
// error to a status (RFC 9110, section 15.6).
var (
	failNoPool       = failure{404, "no pool", "no pool of this proxy serves that host and path", false}
	failNoBackend    = failure{503, "no backend", "no backend can take the request now", true}
	failForced       = failure{503, "own backend out", "the backend that holds the session is out", true}
	failConnect      = failure{503, "connect", "no backend could be reached", true}
	failReset        = failure{502, "reset", "the backend closed the connection without an answer", false}
	failMalformed    = failure{502, "malformed answer", "the backend's answer is not valid HTTP", false}
	failUnasked      = failure{502, "unasked upgrade", "the backend changed the protocol without being asked", false}
	failFirstByte    = failure{504, "first byte", "the backend did not answer in time", false}
	failSessionNow   = failure{503, "session", "the session cannot be looked up now", true}
	failFenced       = failure{503, "fenced", "the session lives elsewhere by now; the change was not made", true}
	failUnsaved      = failure{503, "unsaved", "the session's change could not be made safe", true}
	failAdapter      = failure{502, "session protocol", "the backend broke the session protocol", false}
	failBodyLost     = failure{502, "body lost", "the request cannot be sent a second time", false}
	failBodyTimeout  = failure{408, "body time-out", "the request's body did not arrive in time", false}
	failBodyTooLarge = failure{413, "body too large", "the request's body is longer than this proxy takes", false}
	failURI          = failure{414, "URI too long", "the request's target is longer than this proxy takes", false}
	failBodyCut      = failure{400, "body cut", "the request's body ended too early", false}
	// The client, and we ourselves.
	failHeaderTimeout = failure{408, "header time-out", "the request's head did not arrive in time", false}
	failMethod        = failure{405, "method", "this method is not allowed here", false}
	failPanic         = failure{500, "panic", "the proxy failed", false}
)

// malformed is the failure of a request that is not valid HTTP.
func malformed(e *http1.ProtocolError) failure {
	return failure{status: e.Status, reason: "malformed request", sentence: e.Reason}
}

// upstreamFailure maps what went wrong between us and a backend. waited says
// that the request was out and its answer awaited.
func upstreamFailure(err error) failure {
	var protocol *http1.ProtocolError
	var connect *upstream.ConnectError
	var adapter *session.AdapterError
	switch {
	case errors.As(err, &protocol):
		return failMalformed
	case errors.As(err, &connect):
		return failConnect
	case errors.Is(err, session.ErrNotNow):
		return failSessionNow
	case errors.As(err, &adapter):
		return failAdapter
	case isTimeout(err):
		return failFirstByte
	default:
		return failReset
	}
}

// isTimeout reports whether a deadline of ours ended a read or write.
func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// isReset reports whether the other side broke the connection off (RST).
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
