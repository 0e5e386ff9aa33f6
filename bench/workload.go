package main

// A Workload is one kind of traffic: what each client asks for, what a backend answers, over how many connections.
// Each connection is one user, who has a session on one of the backends and asks again as soon as he has his answer.
type Workload struct {
	Name        string
	About       string // one sentence for the report
	Connections int
	Body        int    // bytes of the response's body
	Head        string // the request's head, with the session id to fill in for %s
	Session     string // what the backends say of sessions to a proxy with a session tier, see backend_session.go; "": nothing
}
