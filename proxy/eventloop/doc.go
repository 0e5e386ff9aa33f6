// Package eventloop serves connections by a few threads, one for each core, of which each waits for many connections at once (epoll) and lets go on
// whom its events are for.
//
// Go's own poller is waited for by one thread at a time; it wakes the others by futex, and the kernel puts who is woken beside who woke it: on two
// busy cores one stood idle for a tenth of the time while the other had two threads to run. Here each thread is woken by the kernel for what has come
// itself, and takes it up without another goroutine being made ready.
//
// What is served is a [Job]. It is run by a [Worker], a coroutine that a loop resumes: where it waits for a [Conn] (Read, Write, Ask, or a function
// of its SyscallConn) the loop goes on with others, and the worker with whatever loop sees that what it waits for has come. A connection that waits for its
// next request has a job and no worker, and with that no stack (Conn.Rest).
//
// A worker that is to wait for anything else must say so before, by Worker.Leave: its thread is then its own until it waits for a connection
// again, and the loop goes on by another. A worker that forgets is found after a few milliseconds (Group.watch) and left alone in the same
// way: nothing is lost by that but the time.
//
// A Conn may also be used by any other goroutine, which then waits as it would for a channel.
package eventloop
