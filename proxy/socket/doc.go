// Package socket reads and writes connections by system calls of which Go's scheduler is not told.
//
// A call on a connection of package net never waits in the kernel: the socket says EAGAIN and Go's poller waits. The scheduler is told all the
// same, before and after, in case that it does; and on a machine with other work, where the kernel takes the processor away in the middle of
// a write, its watchdog then believes in a call that waits, takes the P away, and looks again every 20 µs for as long as that goes on. Without
// that, and with one look in vain less for each request (Ask), a request of 1 KiB took 24 % less of the processor, as a ratio to HAProxy in the
// same run: 1.12 before, 0.85 after, 64 connections on two cores that were shared with load and backends (go run ./bench --workloads keepalive-1k).
//
// What a call here must never do is wait: its P waits with it. Sockets of package net do not.
package socket
