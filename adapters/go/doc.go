// Package rehydra gives net/http programs sessions that outlive the process. It is the backend side of Rehydra's
// session protocol (docs/session-protocol.md, whose section numbers the comments use): sessions are kept in this
// process's memory, and the proxy in front is told of each change, so that it can hand a session to another backend when
// this one is gone.
//
//	sessions, err := rehydra.New(rehydra.Options{Token: token, Route: "node1"})
//	if err != nil { ... }
//	http.ListenAndServe("127.0.0.1:8081", sessions.Middleware(mux))
//
// and in a handler
//
//	s, err := rehydra.FromRequest(r)
//	if err != nil { ... }
//	err = s.Set("cart", []string{"tea", "cups"})
//
// Values are held as JSON: what Get returns is a copy, and a change counts when Set is called with it. A request that does
// not come from the proxy (no token, a wrong one) is served with plain local sessions and learns nothing of the protocol.
//
// The response to a request is held back until the handler returns, at most 8 KiB of it, so that what happened to the session
// can be said in its head. What is longer, or flushed, says it in trailer fields.
//
// The package needs the standard library only, starts no goroutine and has nothing to close.
package rehydra
