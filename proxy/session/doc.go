// Package session is the proxy's side of the session protocol: it decides when
// a session must be looked up before a request may go to a backend, hands
// sessions over from one backend to another, and makes a response wait until
// what it changed is safe.
//
// The order in which one request meets it:
//
//	plan := tier.Plan(...)       which id, and what the backend is told of it (plan.go)
//	plan.Aim(backend)            before each attempt: look first, or not (plan.go)
//	plan.Need(backend, need)     after a 428: look up, claim, install (handoff.go)
//	tier.Settle(plan, report)    after the response: store, ask, end (settle.go, save.go)
//
// Non-sticky mode adds to that: a lock and a look-up before every attempt (nonsticky.go,
// lock.go, readers.go), and drops of what other backends hold (residents.go, drop.go).
//
// docs/session-protocol.md is the contract; the section numbers in comments are
// its own. The store is behind the interfaces of store.go; the package knows
// nothing of where copies are kept.
package session
