// Package upstream knows the backends: which pool serves a request, which backend of it, whether that backend is up, and the
// connections to it. It knows sessions only as routes and reads no HTTP but the answers to its own checks.
//
// One attempt of a request is
//
//	pool := table.Match(host, path)
//	b, sticky, err := pool.Choose(routes, tried)   // ErrNoBackend, ErrForced
//	c, err := b.Acquire(nil, now, LookNow)         // *ConnectError: b.ReportConnect, tried = append(tried, b)
//	b.Begin(); defer b.End()
//	... write to c, read from c.R ...
//	b.ReportAnswer()                               // the first byte came
//	b.ReportReset(c.Epoch(), err)                  // or it did not
//	b.ReportFirstByteTimeout(c.Epoch())
//	b.Release(c, now)                              // the answer was read to its end; otherwise c.Close()
//
// Nothing on that way takes a lock but the list of idle connections, for a push or a pop. A pool's choices are made from an
// immutable snapshot that a change of state replaces.
//
// The log has one event for each change of a backend's state, "backend out" (warning) and "backend up", with pool, backend (its
// route), address and reason.
package upstream
