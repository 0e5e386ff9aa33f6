package main

// sessionWorkloads are the requests of keepAlive1K with what they do to their sessions: for a proxy with a session tier, and for the same
// proxy without one, which is what they are compared with.
func sessionWorkloads() []Workload {
	var all []Workload
	for _, w := range []struct{ session, about string }{
		{sessionSame, "the session is read and does not change"},
		{sessionChanged, "each request changes the session, 1 KiB of state comes in a header"},
		{sessionPull, "each request may change the session, 20 KiB of state are asked for"},
	} {
		load := keepAlive1K()
		load.Name, load.Session = "session-"+w.session, w.session
		load.About += "; " + w.about
		all = append(all, load)
	}
	return all
}
