package serve

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rehydra/e2e/harness"
)

// The secrets of a busy run: nothing of them may stand in the log.
const (
	cookieSecret = "COOKIE-7f3a"
	headerSecret = "HEADER-91bc"
	querySecret  = "QUERY-55d0"
	paramSecret  = "PARAM-0a6e"
	bodySecret   = "BODY-c2f8"
	answerSecret = "ANSWER-e41d"
	stateSecret  = "STATE-6b97"
	idSecret     = "0123456789ABCDEF0123456789ABCDEF"
)

// careless is a backend that puts secrets into everything it can get wrong.
func careless(q *call) {
	adapter := "HTTP/1.1 200 OK\r\nRehydra-Adapter: 1\r\nContent-Length: 2\r\n"
	switch target := q.req.URL.Path; {
	case strings.HasPrefix(target, "/garbage"):
		q.send("%s\r\n\r\n", answerSecret)
		q.close()
	case strings.HasPrefix(target, "/badfield"):
		q.send("HTTP/1.1 200 OK\r\nSet-Cookie %s\r\n\r\n", answerSecret)
		q.close()
	case strings.HasPrefix(target, "/badlength"):
		q.send("HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n", answerSecret)
		q.close()
	case strings.HasPrefix(target, "/badchunk"):
		q.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n", answerSecret)
		q.close()
	case strings.HasPrefix(target, "/badreport"):
		q.send(adapter+"Rehydra-Session: id=\"%s.node1\"; app=\"/shop\"; version=%s\r\n\r\nok", idSecret, answerSecret)
	case strings.HasPrefix(target, "/badid"):
		q.send(adapter+"Rehydra-Session: id=\"%s,%s\"; app=\"/shop\"; version=1.1; ttl=60; state=same\r\n\r\nok", idSecret, idSecret)
	case strings.HasPrefix(target, "/badstate"):
		q.send(adapter+"Rehydra-Session: id=\"%s.node1\"; app=\"/shop\"; version=1.1; ttl=60; state=inline\r\nRehydra-State: %s!\r\n\r\nok", idSecret, stateSecret)
	case strings.HasPrefix(target, "/badneed"):
		q.send("HTTP/1.1 428 Precondition Required\r\nRehydra-Adapter: 1\r\nRehydra-Need: id=%s; app=/shop; x=%s\r\nContent-Length: 0\r\n\r\n", idSecret, answerSecret)
	case strings.HasPrefix(target, "/goodneed"):
		q.send("HTTP/1.1 428 Precondition Required\r\nRehydra-Adapter: 1\r\nRehydra-Need: id=\"%s.node1\"; app=\"/shop\"\r\nContent-Length: 0\r\n\r\n", idSecret)
	case strings.HasPrefix(target, "/large"):
		q.send(adapter+"Rehydra-Session: id=\"%s.node1\"; app=\"/shop\"; version=1.1; ttl=60; state=pull\r\n\r\nok", idSecret)
	case q.req.Method == "REPORT":
		q.send("HTTP/1.1 200 OK\r\nRehydra-Adapter: 1\r\nRehydra-Session: id=\"%s.node1\"; app=\"/shop\"; version=1.1; ttl=60\r\nContent-Length: 2000\r\n\r\n%s",
			idSecret, strings.Repeat(stateSecret, 2000)[:2000])
	case strings.HasPrefix(target, "/unasked"):
		q.send(switching)
		q.close()
	case strings.HasPrefix(target, "/reset"):
		q.reset()
	default:
		q.ok()
	}
}

// TestNoSecretInTheLog runs requests of all kinds, well and malformed, through sound and broken backends, and looks for whatever is a
// credential in the log at its most talkative.
func TestNoSecretInTheLog(t *testing.T) {
	t.Parallel()
	node := harness.StartMemcached(t)
	one, two := start(t, "node1", careless), start(t, "node2", careless)
	app, _ := counting(t, "node3")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := settings{
		"log":          {`level = "debug"`},
		"session":      {fmt.Sprintf("token_file = %q", file), `max_state = 1000`, `inline_limit = 500`},
		"store":        {fmt.Sprintf(`nodes = ["n1=%s"]`, node.Address()), `retry = "50ms"`},
		"pool.timeout": {`first_byte = "5s"`},
		"server":       {`header_timeout = "1s"`, `body_timeout = "1s"`},
		"pool.health":  {`path = "/health?` + querySecret + `"`},
	}
	p := serve(t, s, one, two, app)
	var ids []string
	for round := range 3 {
		ids = append(ids, busy(t, p)...)
		switch round {
		case 0:
			node.Kill(t)
			one.Down()
		case 1:
			node.Restart(t)
			one.Up()
			p.reload(strings.Replace(s.toml(one, two, app), "first_byte", "first_bite", 1), notReloaded)
			p.reload(s.toml(one, two, app), reloaded)
		}
	}
	p.terminate()
	text := p.stderr.String()
	if n := len(withMessage(text, "request")); n < 80 {
		t.Errorf("%d requests in the log: was it a busy run?", n)
	}
	wantKinds(t, text)
	secrets := slices.Concat(ids, []string{token, cookieSecret, headerSecret, querySecret, paramSecret, bodySecret, answerSecret, stateSecret, idSecret})
	for line := range strings.Lines(text) {
		for _, secret := range secrets {
			if strings.Contains(line, secret) || strings.Contains(strings.ToLower(line), strings.ToLower(secret)) {
				t.Errorf("the log holds the secret %s: %s", secret, line)
			}
		}
	}
}

// busy sends requests of every kind, and returns the session ids that the application gave.
func busy(t *testing.T, p *program) (ids []string) {
	t.Helper()
	session := fmt.Sprintf("Cookie: other=%s; JSESSIONID=%s.node1", cookieSecret, idSecret)
	fields := []string{session, "Authorization: Basic " + headerSecret, "X-Key: " + headerSecret}
	for _, path := range []string{"/", "/garbage", "/badfield", "/badlength", "/badchunk", "/badreport", "/badid", "/badstate", "/badneed", "/goodneed", "/large", "/unasked", "/reset"} {
		for _, target := range []string{
			path + "?q=" + querySecret,
			path + ";p=" + paramSecret + ";jsessionid=" + idSecret + ".node1/x;y=" + paramSecret + "?" + querySecret,
			"http://shop.test" + path + ";jsessionid=" + idSecret + "?" + querySecret,
		} {
			p.raw(head("POST", target, append(fields, fmt.Sprintf("Content-Length: %d", len(bodySecret)))...) + bodySecret)
		}
	}
	a := p.get("/", "Cookie: JSESSIONID=x.node3")
	id := a.cookie(t)
	for range 3 {
		p.get("/?"+querySecret, "Cookie: JSESSIONID="+id)
	}
	p.get("/logout", "Cookie: JSESSIONID="+id)
	base, _, _ := strings.Cut(id, ".")
	for _, raw := range []string{
		"GET /" + querySecret + "\r\n\r\n",
		querySecret + "\x00\r\n\r\n",
		"GET /?" + querySecret + " HTTP/1.1\r\nHost: a\r\nHost: " + headerSecret + "\r\n\r\n",
		"GET /?" + querySecret + " HTTP/1.1\r\nHost: " + headerSecret + "@x\r\n\r\n",
		"GET /?" + querySecret + " HTTP/9.9\r\nHost: a\r\n\r\n",
		"GET /?" + querySecret + " HTTP/1.1\r\nHost: a\r\nCookie " + cookieSecret + "\r\n\r\n",
		"GET /?" + querySecret + " HTTP/1.1\r\nHost: a\r\nContent-Length: " + headerSecret + "\r\n\r\n",
		"GET /?" + querySecret + " HTTP/1.1\r\nHost: a\r\nCookie: " + cookieSecret + "\r\n",
		head("TRACE", "/;jsessionid="+idSecret, session),
		head("CONNECT", headerSecret+":443"),
		head("OPTIONS", "/;jsessionid="+idSecret+"?"+querySecret, session, "Max-Forwards: 0"),
		head("POST", "/?"+querySecret, session, "Content-Length: 100") + bodySecret,
		head("POST", "/?"+querySecret, session, "Transfer-Encoding: chunked") + bodySecret + "\r\n",
		head("POST", "/?"+querySecret, session, "Transfer-Encoding: "+headerSecret),
		head("GET", "/?"+querySecret, session, "Upgrade: "+headerSecret, "Connection: upgrade"),
		head("GET", "/%zz;jsessionid="+idSecret+";"+paramSecret, session),
		head("GET", "//;jsessionid="+idSecret+"//..;"+paramSecret+"/..", session),
		head("GET", "/", "Cookie: JSESSIONID="+strings.Repeat(idSecret, 200)),
	} {
		p.raw(raw)
	}
	return append(ids, base)
}

// raw sends bytes and reads what comes until the answer is there, or the connection ends.
func (p *program) raw(raw string) {
	p.t.Helper()
	c := dial(p.t, p.address)
	defer c.conn.Close()
	if _, err := c.conn.Write([]byte(raw)); err != nil {
		p.t.Fatal(err)
	}
	for {
		if a, err := c.receive("POST"); err != nil || a.status >= 200 {
			return
		}
	}
}

// wantKinds wants that the run met what it is meant to meet.
func wantKinds(t *testing.T, text string) {
	t.Helper()
	got := make(map[string]bool)
	for _, e := range parse(text) {
		got[e.Text("message")] = true
		got[e.Text("failure")] = true
	}
	for _, want := range []string{
		"malformed request", "malformed answer", "header time-out", "body time-out", "unasked upgrade", "method", "reset",
		"backend out", "backend up", "store node down", "store node up", "configuration not reloaded: the old one stays",
		"session not handed over", "session report unusable: the state is asked for instead",
		"session unprotected: not every copy was stored",
	} {
		if !got[want] {
			t.Errorf("nothing of the kind %q in the log", want)
		}
	}
}
