package tlsfront

import (
	"crypto/tls"
	"slices"
)

const (
	http2 = "h2"
	http1 = "http/1.1"
)

// Leaving returns t for a server that is to stop at some time: once leaving says so, "h2" is no longer chosen for a client that offers "http/1.1" too. A server that
// stops can say "this was the last one" with an HTTP/1.1 answer, and serve the request that a new client has come with. To one that speaks HTTP/2 it
// can say so at any time, and before the first request that sends the client away. t is not to be changed any more.
func Leaving(t *tls.Config, leaving func() bool) *tls.Config {
	if !slices.Contains(t.NextProtos, http2) || !slices.Contains(t.NextProtos, http1) {
		return t
	}
	plain := t.Clone()
	plain.GetConfigForClient = nil
	plain.NextProtos = slices.DeleteFunc(slices.Clone(t.NextProtos), func(name string) bool { return name == http2 })
	first := t.GetConfigForClient
	t = t.Clone()
	t.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if first != nil {
			if other, err := first(hello); other != nil || err != nil {
				return other, err
			}
		}
		if leaving() && slices.Contains(hello.SupportedProtos, http1) {
			return plain, nil // with t's session tickets: plain has no keys of its own
		}
		return nil, nil // t itself
	}
	return t
}
