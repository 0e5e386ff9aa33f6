// Package jvmroute reads and writes the session ids of servlet containers.
//
// An id such as "ABC-n1.node1" is a base id ("ABC-n1"), a dot and a route ("node1", Tomcat's jvmRoute): the name
// of the backend that made the session. A load balancer sends a request to the backend that its id names; that is
// the whole of sticky routing, and it needs no memory of its own.
//
// The package works on the bytes of a message in place: it copies nothing, keeps nothing, does no I/O and, with room
// in the slices it is given, allocates nothing. It uses the standard library only.
//
// Two parties read the same request and do not look in the same order. mod_jk, and this package's Append functions
// called one after the other, take the path parameter first and then the cookies from left to right. Tomcat lets
// any session cookie win over the path; see TomcatOrder. Routing follows the first, restoring the second.
package jvmroute
