// Package proxy is the data path: it accepts clients, reads their requests,
// chooses a backend for each and relays the answer. docs/life-of-a-request.md
// tells the order in which its files come into play.
//
// The parts that stand on their own are packages below it: http1 (messages),
// upstream (pools, backends, connections to them) and session (the session
// protocol). The package does not know where copies of sessions are kept;
// whoever puts the program together hands it a session.Store.
package proxy
