// Package failover holds the walks that the project exists for: real Tomcats
// and real memcacheds behind the built rehydra, users with sessions, and servers
// that die. Nothing but tests is in it.
package failover
