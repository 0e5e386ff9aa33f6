// Package nonsticky holds the non-sticky mode to what it promises: any backend may answer any request, each with the latest
// state of the session, under the lock that is configured. The cases are those of memcached-session-manager's own integration tests.
package nonsticky
