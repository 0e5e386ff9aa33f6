// Package sessiontier keeps copies of the sessions of backends, outside of the backends, so that another backend can go on with
// a session when its owner dies. It decides what is kept of a session, on which nodes, and under which version.
//
// A session is named by pool, application and base id (see [Key]), never by its route. Its copies are records with a version
// "generation.counter": the owner counts the counter up, [Tier.Claim] raises the generation when the session gets another owner.
// An older version never replaces a newer one, on any node, whichever proxy writes: each write is an add or a compare-and-swap
// against what was read before.
//
// What can be lost, and when, is the first section of the package's README.md, followed by the layout of a copy byte by byte.
package sessiontier
