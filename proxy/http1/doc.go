// Package http1 reads and writes HTTP/1.1 messages for a proxy: strictly, by RFC 9110 and RFC 9112, and without
// allocating once its values are warm. Standard library only, no I/O but through the bufio.Reader it is given.
//
// A message is read in three steps:
//
//  1. [ReadRequestHead] or [ReadResponseHead] finds the end of the head in a bufio.Reader and returns its bytes.
//  2. [RequestHead.Parse] or [ResponseHead.Parse] checks those bytes and indexes them. Nothing is copied: every
//     []byte of a head points into the bytes that were parsed and lives as long as they do.
//  3. [Body] reads what follows, by the framing that the head found.
//
// What the RFCs let a recipient repair is refused instead, since two recipients that repair differently are how
// requests are smuggled: folded lines, bare CR or LF, NUL and other control characters, blanks before a colon, a
// second Host or Content-Length, Content-Length beside Transfer-Encoding, any Transfer-Encoding but one "chunked".
// Deliberately narrower than the grammar: a Host is a name of letters, digits and "-._~", or an IP address;
// deliberately wider: a request target may hold any visible ASCII but "#", as browsers send "|" and "{" in queries.
//
// A malformed message is a [*ProtocolError]; its text is fixed and never quotes what the peer sent. Every other error
// comes from the connection.
package http1
