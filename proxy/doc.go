// Package proxy is the data path: it accepts clients, reads their requests,
// chooses a backend for each and relays the answer. docs/life-of-a-request.md
// tells the order in which its files come into play.
//
// Its files, by what they are about:
//
//   - addresses and who comes in by them: server, listener, relisten, inherited, crowd
//   - what comes before a request: greet (PROXY header, TLS), front (what it goes by), http2, redirect
//   - a client's connection: client, conn (its requests), looped (by an event loop), rest (by a goroutine), clientgone, clientwatch
//   - a request's way to a backend: exchange, origin (who asks), attempt, requesthead, upload, pump, repeat
//   - the answer's way back: respond, relay, splice, tunnel, tunnelquiet
//   - answers of our own: answer, failure, pages, grpc
//   - what is told of it all: accesslog, requestcount, tunnelcount, counts
//
// The parts that stand on their own are packages below it: http1 (messages),
// upstream (pools, backends, connections to them), session (the session
// protocol), eventloop (who waits for connections), socket (system calls), tlsfront (certificates) and http2front (HTTP/2). The package does not know where copies of
// sessions are kept; whoever puts the program together hands it a session.Store.
package proxy
