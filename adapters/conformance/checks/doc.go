// Package checks plays the proxy's part of the session protocol against a backend and judges what the backend's adapter
// answers. It needs a small application there, described in ../README.md, and knows nothing of the adapter's language.
//
// Section numbers in comments are those of docs/session-protocol.md.
package checks
