// Package http2front speaks HTTP/2 with clients (RFC 9113) and hands each of their requests on as a connection of its own, on which
// an HTTP/1.1 request can be read and its answer be written. So a request takes the same way through the proxy, with the same checks,
// whichever protocol it came by.
//
// The frames, header compression, flow control and the defences against floods of them (streams opened and reset at once, endless header
// blocks, control frames that nobody reads the answers of) are those of golang.org/x/net/http2. It refuses what RFC 9113 calls malformed
// with RST_STREAM or 400 before there is a request; extended CONNECT (RFC 8441) is not offered.
package http2front
