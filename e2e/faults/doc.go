// Package faults kills and pauses the servers around rehydra, prints what users saw of it, and holds each kind of fault to one line:
//
//	a backend killed        the next request of each of its sessions is right
//	a backend paused        no user ever sees an older value
//	a memcached killed      nothing lost, no 5xx
//	a memcached paused      nothing lost, no 5xx
//	a memcached emptied     within a minute 99 of 100 active sessions have two copies again
//	no memcached at all     no 5xx while the owners live
//	a logout meanwhile      stays one, when every proxy is killed and the memcached that was away is the only one left
//	another token           said once for each backend; sessions go on where they are, without a loop
//	a herd                  2,000 sessions of a dead backend at once: connections and memory are bounded
//	one session, 50 times   it is restored once
//
// With the tag soak (`make soak`) the pauses are longer, and servers are cut off by a packet filter too: nothing lost, nothing old comes back.
package faults
