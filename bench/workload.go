package main

// A Workload is one kind of traffic: what each client asks for, what a backend answers, over how many connections.
// Each connection is one user, who has a session on one of the backends and asks again as soon as he has his answer, unless the workload
// says otherwise.
type Workload struct {
	Name        string
	About       string // one sentence for the report
	Unit        string // what processor time is given for; "": a request
	Connections int
	Workers     int    // how many ask at the same time; 0: every connection
	Sessions    int    // 0: one for each connection
	Backends    int    // 0: two
	Body        int    // bytes of the response's body
	Head        string // the request's head, see LoadSpec
	Session     string // what the backends say of sessions to a proxy with a session tier, see backend_session.go; "": nothing
	Tomcat      bool   // the backends are real Tomcats; sessions are theirs
	Fresh       bool   // a connection for each request
	TLS         bool
	Rate        float64 // requests a second at the most; 0: as they come
	Hold        []int   // idle connections to measure memory at, instead of requests
	WarmUp      int     // requests before the first round, which each session is part of where there are many; with Rehearsals before each round
	Rehearsals  int     // how often, before the first round, WarmUp requests come with new connections and sessions
}

// A backendSpec is what backends have to be; workloads of the same have them in common.
type backendSpec struct {
	count, body int
	session     string
	tomcat      bool
}

func (w *Workload) backends() backendSpec {
	s := backendSpec{count: w.Backends, body: w.Body, session: w.Session, tomcat: w.Tomcat}
	if s.count == 0 {
		s.count = 2
	}
	return s
}

// The request of every workload, with the parts that LoadSpec fills in.
const (
	getPage    = "GET /shop/page?item=17 HTTP/1.1\r\n"
	browserish = "Host: " + serverName + "\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
		"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n" +
		"Accept-Language: en-GB,en;q=0.5\r\n" +
		"Accept-Encoding: gzip, deflate\r\n" +
		"Cookie: theme=light" + cookieMark + "\r\n"
)

// keepAlive1K is the plainest traffic there is: small pages of logged-in users over kept connections.
func keepAlive1K() Workload {
	return Workload{
		Name: "keepalive-1k", About: "GET of 1 KiB over 64 kept connections, each with a session cookie that names its backend",
		Connections: 64, Body: 1 << 10, Head: getPage + browserish + "\r\n",
	}
}

// ofSize is keepAlive1K with larger pages.
func ofSize(name, about string, body, connections int) Workload {
	w := keepAlive1K()
	w.Name, w.About, w.Body, w.Connections = name, about, body, connections
	return w
}

// constantRate is keepAlive1K, whatever the answers do.
func constantRate() Workload {
	w := keepAlive1K()
	w.Name, w.Rate = "rate-1k", 15000
	w.About = "GET of 1 KiB at a constant rate over 64 kept connections; times run from when a request was due"
	return w
}

// freshConnections is keepAlive1K without the keeping.
func freshConnections() Workload {
	w := keepAlive1K()
	w.Name, w.Fresh = "connection-1k", true
	w.About = "GET of 1 KiB, a connection for each request, 64 at a time"
	w.Head = getPage + browserish + "Connection: close\r\n\r\n"
	return w
}

// idleConnections opens connections, uses each once and leaves them open.
func idleConnections(steps ...int) Workload {
	w := keepAlive1K()
	w.Name, w.Hold = "idle", steps
	w.About = "memory of the whole process tree at so many open connections, each of which has had one GET of 1 KiB"
	return w
}

// overTLS is w over TLS 1.3.
func overTLS(w Workload, name, about, unit string) Workload {
	w.Name, w.About, w.Unit, w.TLS = name, about, unit, true
	return w
}

// onTomcats is a page of a real Tomcat that looks at its session.
func onTomcats() Workload {
	w := keepAlive1K()
	w.Name, w.Tomcat, w.WarmUp = "tomcat", true, 10000
	w.About = "GET of a JSP that reads its session, two real Tomcats 9 behind, 64 kept connections"
	w.Head = "GET /shop/session?op=touch HTTP/1.1\r\n" + browserish + "\r\n"
	return w
}

// peerWorkloads are what Rehydra is compared with others in.
func peerWorkloads() []Workload {
	return []Workload{
		keepAlive1K(),
		constantRate(),
		ofSize("keepalive-16k", "GET of 16 KiB over 64 kept connections", 16<<10, 64),
		ofSize("keepalive-1m", "GET of 1 MiB over 16 kept connections", 1<<20, 16),
		freshConnections(),
		idleConnections(64, 1000, 10000),
		overTLS(keepAlive1K(), "tls-1k", "GET of 1 KiB over 64 kept connections with TLS 1.3", ""),
		overTLS(freshConnections(), "tls-handshake", "a TLS 1.3 handshake (ECDSA P-256, X25519, nothing resumed) for each GET of 1 KiB, 64 at a time", "handshake"),
		onTomcats(),
	}
}

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
