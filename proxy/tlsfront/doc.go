// Package tlsfront is the TLS that clients see: the certificates and which client is shown which, what a client must show
// itself, what backends are told of the connection, and certificates that an ACME server issues.
//
// Everything made here is immutable. A reload makes it anew from the files and replaces the whole, so a file that is broken leaves
// what was there.
package tlsfront
