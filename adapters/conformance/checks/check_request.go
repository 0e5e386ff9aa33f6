package checks

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// requestChecks: a request body is never lost to a 428 (section 2).
func requestChecks() []Check {
	return []Check{
		{"request/body", "a body sent again after a 428 reaches the application whole (2)", func(p *probe) {
			s := p.startedAndDropped()
			body := bytes.Repeat([]byte("x"), 60<<10)
			p.refused(call{method: http.MethodPost, query: do("show"), cookies: []string{s.id}, body: body})
			c := p.restored(s, "2.0")
			c.method, c.body = http.MethodPost, body
			pg, _ := p.page(c)
			p.want(pg.body == len(body), "a body of %d bytes reached the application, wanted %d", pg.body, len(body))
			p.want(pg.values["color"] == "red", "color %q given, wanted red", pg.values["color"])
		}},
		{"request/expect", "428 is given instead of 100, before any byte of the body (2)", func(p *probe) {
			s := p.startedAndDropped()
			status := p.expect(s.id, "", nil)
			p.want(status == http.StatusPreconditionRequired, "status %d given, wanted 428 before the body", status)
		}},
		{"request/continue", "100 is given when the application may run, and the body follows (2)", func(p *probe) {
			s := p.startedAndDropped()
			body := bytes.Repeat([]byte("x"), 200<<10)
			status := p.expect(s.id, "Rehydra-Have: none\r\n", body)
			p.want(status == http.StatusOK, "status %d given, wanted 200 after the body", status)
		}},
	}
}

// expect sends a POST with Expect: 100-continue over a socket of its own, and its body only after 100. It returns the
// final status. With a nil body, 100 ends the check.
func (p *probe) expect(id, more string, body []byte) (status int) {
	address, err := url.Parse(p.target.URL)
	if err != nil {
		p.fail("%v", err)
	}
	conn, err := (&net.Dialer{Timeout: p.target.Timeout}).DialContext(p.ctx, "tcp", address.Host)
	if err != nil {
		p.fail("%v", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(p.target.Timeout)); err != nil {
		p.fail("%v", err)
	}
	length := max(len(body), 5_000_000)
	if body != nil {
		length = len(body)
	}
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nRehydra-Tier: %s\r\nRehydra-Id: %s\r\n%sCookie: %s=%s\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		(&url.URL{Path: address.Path, RawQuery: do("show").Encode()}).String(), address.Host, p.target.Token, id, more,
		p.target.Cookie, id, length)
	if err != nil {
		p.fail("%v", err)
	}
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadResponse(in, &http.Request{Method: http.MethodPost})
		if err != nil {
			p.fail("no answer to a request with Expect: %v", err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusContinue {
			return r.StatusCode
		}
		p.want(body != nil, "100 given, wanted a 428 instead")
		if _, err := conn.Write(body); err != nil {
			p.fail("%v", err)
		}
	}
}
