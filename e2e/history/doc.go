// Package history judges what users of many sessions see while everything fails around them: two proxies, three backends and three
// memcacheds are killed and paused at random while clients increment and read a counter in each session. Each session's history of calls
// must be that of one counter that all clients share (linearisable), as porcupine finds out:
//
//   - an increment that was answered 200 is there from then on, once;
//   - one that was answered otherwise, or not at all, may have happened, at any time from its call on, or never;
//   - a read sees every increment that was answered before it began.
//
// The clients of one session share its cookie, as the tabs of a browser do. Faults are drawn from a seed, which is logged. At most one
// backend, one proxy and one memcached are in trouble at any moment, and the next memcached only when every session has been saved
// since the last one came back, and every proxy has had the time to find out that it did: more than that two copies cannot bear.
//
// REHYDRA_SEED chooses another seed. `make soak` runs for longer. TestUnfenced shows that the judgement is worth something: with
// fencing compiled out of the proxy it finds a violation.
package history
