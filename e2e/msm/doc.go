// Package msm holds Tomcats with memcached-session-manager behind the built rehydra: their sessions are its own, and Rehydra
// only routes. Nothing but tests is in it.
package msm
