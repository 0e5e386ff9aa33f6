package jvmroute

// Source says where in a request a session id was found.
type Source uint8

// The places that hold session ids.
const (
	FromPath   Source = iota // a path parameter: /shop;jsessionid=ABC.node1
	FromCookie               // a cookie: JSESSIONID=ABC.node1
)

// String returns "path" or "cookie".
func (s Source) String() string {
	if s == FromCookie {
		return "cookie"
	}
	return "path"
}

// Candidate is one valid session id of a request. ID is a view into the request's bytes: whoever keeps it longer
// than those copies it.
type Candidate struct {
	ID     []byte
	Source Source
}

// Base returns the base id, up to the first dot.
func (c Candidate) Base() []byte {
	base, _ := Split(c.ID)
	return base
}

// Route returns the route, after the first dot; nil when there is no dot.
func (c Candidate) Route() []byte {
	_, route := Split(c.ID)
	return route
}

// TomcatOrder returns the candidates that Tomcat considers, in its order, as a part of all, which holds the path's
// first and then the cookies'. Any session cookie makes Tomcat forget the path: it takes the first cookie and, while
// it knows no session of that id, the next one. Without a cookie it is the LAST path parameter of the name,
// where mod_jk takes the first: Tomcat keeps path parameters in a map.
func TomcatOrder(all []Candidate) []Candidate {
	for i := range all {
		if all[i].Source == FromCookie {
			return all[i:]
		}
	}
	if len(all) > 1 {
		return all[len(all)-1:]
	}
	return all
}
