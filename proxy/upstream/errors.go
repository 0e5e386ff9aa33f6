package upstream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
)

// ErrNoBackend is what Choose returns when no backend of the pool may be used: they are out, stopped or tried already.
var ErrNoBackend = errors.New("no backend of the pool can be used")

// ErrForced is what Choose returns when the session's own backend cannot be used and the pool has Force set.
var ErrForced = errors.New("the session's backend is out and the pool forbids moving it")

// ErrStale is what Conn.Ask returns for a kept connection that the backend has closed, or on which it has said what nobody asked for. Nothing was sent.
var ErrStale = errors.New("the kept connection is not of use any more")

// ConnectError says why no connection to a backend was made. Nothing was sent: any request may go elsewhere.
type ConnectError struct {
	Address string
	Refused bool // the other host said no, or there is no way to it: refused, reset, unreachable
	Timeout bool // no answer within the connect time-out
	Local   bool // the fault is here (no descriptors, no ports left): it says nothing about the backend
	Err     error
}

// Error names the address and the cause. It is for the log, not for a client.
func (e *ConnectError) Error() string {
	return fmt.Sprintf("cannot connect to backend %q: %v", e.Address, e.Err)
}

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

func newConnectError(address string, err error) *ConnectError {
	e := &ConnectError{Address: address, Err: err}
	var timeout net.Error
	switch {
	case isAny(err, syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM):
		e.Local = true
	case isAny(err, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN):
		e.Refused = true
	case errors.As(err, &timeout) && timeout.Timeout():
		e.Timeout = true
	}
	return e
}

func isAny(err error, of ...syscall.Errno) bool {
	for _, errno := range of {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// ErrNoHTTP means that what a backend answered to a request of our own is not valid HTTP.
var ErrNoHTTP = errors.New("the answer is not valid HTTP")

// Unquoted returns why an answer could not be read: what the network said, [io.ErrUnexpectedEOF], or [ErrNoHTTP]. The texts of
// fasthttp's errors quote what was read, cookies and session states too.
func Unquoted(err error) error {
	var network net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	case errors.As(err, &network):
		return network
	default:
		return ErrNoHTTP
	}
}
