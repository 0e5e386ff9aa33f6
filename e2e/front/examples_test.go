package front

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"rehydra/e2e/harness"
	"rehydra/e2e/tomcat"
)

// examples is a proxy before two Tomcats with the examples application that comes with them.
type examples struct {
	t     *testing.T
	proxy *harness.Proxy
	cert  *harness.Certificate
}

// startExamples starts them, with the session tier on.
func startExamples(t *testing.T) *examples {
	t.Helper()
	pool := harness.Pool{Name: "examples"}
	var servers []*tomcat.Server
	for _, route := range []string{"node1", "node2"} {
		s := tomcat.New(t, tomcat.Config{Release: tomcat.Tomcat9, Route: route, Token: harness.Token})
		home, err := tomcat.Fetch(t.Context(), tomcat.Tomcat9)
		if err != nil {
			t.Fatal(err)
		}
		context := fmt.Sprintf(`<Context docBase=%q><Valve className="io.rehydra.tomcat.RehydraValve" token=%q/><Manager pathname=""/></Context>`,
			filepath.Join(home, "webapps", "examples"), harness.Token)
		base := filepath.Dir(s.ExecutedPath())
		if err := os.WriteFile(filepath.Join(base, "conf", "Catalina", "localhost", "examples.xml"), []byte(context), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Launch()
		servers = append(servers, s)
		pool.Backends = append(pool.Backends, harness.Backend{Route: route, Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))})
	}
	for _, s := range servers {
		s.WaitReady()
	}
	e := &examples{t: t, cert: harness.NewCertificate(t)}
	e.proxy = harness.Start(t, harness.Config{TLS: e.cert, Store: harness.Embedded(), Pools: []harness.Pool{pool}})
	return e
}

func (e *examples) url(path string) string { return "https://" + e.proxy.Secure() + "/examples" + path }

// get wants 200 with these parts in the body.
func (e *examples) get(t *testing.T, c *http.Client, path string, parts ...string) *http.Response {
	t.Helper()
	resp, err := c.Get(e.url(path))
	return wantParts(t, resp, err, path, parts)
}

func wantParts(t *testing.T, resp *http.Response, err error, path string, parts []string) *http.Response {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	for _, part := range parts {
		if !strings.Contains(string(body), part) {
			t.Errorf("%s lacks %q:\n%.2000s", path, part, body)
		}
	}
	return resp
}

// TestExamples: Tomcat's own examples application does through the proxy what it does without.
func TestExamples(t *testing.T) {
	e := startExamples(t)
	for _, major := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP/%d", major), func(t *testing.T) {
			jar, err := cookiejar.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			c := client(t, e.cert, major, jar)
			e.servlets(t, c)
			e.session(t, c)
			e.streams(t, c)
			e.tickers(t, c)
		})
	}
	t.Run("WebSocket", e.websockets)
}

// servlets asks for the plain ones, and for pages.
func (e *examples) servlets(t *testing.T, c *http.Client) {
	t.Helper()
	e.get(t, c, "/", "Apache Tomcat Examples")
	e.get(t, c, "/servlets/servlet/HelloWorldExample", "Hello")
	e.get(t, c, "/servlets/servlet/RequestInfoExample/some/path?x=y", "/examples/servlets/servlet/RequestInfoExample", "/some/path", "127.0.0.1")
	e.get(t, c, "/servlets/servlet/RequestHeaderExample", "x-forwarded-proto", "https")
	e.get(t, c, "/jsp/snp/snoop.jsp", "Request Information")
	resp, err := c.PostForm(e.url("/servlets/servlet/RequestParamExample"), url.Values{"firstname": {"Ada"}, "lastname": {"Lovelace & Co"}})
	wantParts(t, resp, err, "RequestParamExample", []string{"Ada", "Lovelace &amp; Co"})
	resp, err = c.PostForm(e.url("/servlets/servlet/CookieExample"), url.Values{"cookiename": {"flavour"}, "cookievalue": {"oat"}})
	wantParts(t, resp, err, "CookieExample", []string{"flavour", "oat"})
	e.get(t, c, "/servlets/servlet/CookieExample", "flavour", "oat")
	resp, err = c.Get(e.url("/none"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("a page that is not there: %s", resp.Status)
	}
}

// session fills a session and finds everything in it.
func (e *examples) session(t *testing.T, c *http.Client) {
	t.Helper()
	var want []string
	for n := range 5 {
		name, value := fmt.Sprintf("name%d", n), fmt.Sprintf("value%d", n)
		want = append(want, name+" = "+value)
		resp, err := c.PostForm(e.url("/servlets/servlet/SessionExample"), url.Values{"dataname": {name}, "datavalue": {value}})
		wantParts(t, resp, err, "SessionExample", want)
	}
}

// streams asks for what is written and read without blocking, after the servlet has returned, or with trailers.
func (e *examples) streams(t *testing.T, c *http.Client) {
	t.Helper()
	for _, path := range []string{"/async/async0", "/async/async1", "/async/async2", "/async/async3"} {
		e.get(t, c, path)
	}
	const size = 3_000_000
	resp, err := c.Post(e.url("/servlets/nonblocking/bytecounter"), "application/octet-stream", io.LimitReader(zeros{}, size))
	wantParts(t, resp, err, "bytecounter", []string{strconv.Itoa(size)})
	e.get(t, c, "/servlets/nonblocking/numberwriter", "9999")
	resp = e.get(t, c, "/servlets/trailers/response", "should include trailer fields")
	if resp.Trailer.Get("X-Trailer-1") != "Trailer value one" || resp.Trailer.Get("X-Trailer-2") != "Trailer value two" {
		t.Errorf("the trailers are %v", resp.Trailer)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// tickers reads an answer that has no end, line by line, and goes away.
func (e *examples) tickers(t *testing.T, c *http.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", e.url("/async/stockticker"), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	for range 3 {
		if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "STOCK#") {
			t.Fatalf("the stock ticker says %q, %v", line, err)
		}
	}
}

// dialWS opens a WebSocket of the examples.
func (e *examples) dialWS(ctx context.Context, t *testing.T, path, route string) *websocket.Conn {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: e.cert.Pool}}
	conn, resp, err := websocket.Dial(ctx, "wss"+strings.TrimPrefix(e.url(path), "https"), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: http.Header{"Cookie": {"JSESSIONID=0123456789ABCDEF." + route}},
		CompressionMode: websocket.CompressionContextTakeover,
	})
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if resp.Body != nil {
		resp.Body.Close()
	}
	t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(-1)
	return conn
}

// websockets: the echo servers and the chat.
func (e *examples) websockets(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	for _, path := range []string{"/websocket/echoAnnotation", "/websocket/echoStreamAnnotation", "/websocket/echoProgrammatic"} {
		conn := e.dialWS(ctx, t, path, "node1")
		for _, size := range []int{1, 1000, 100_000} {
			message := strings.Repeat("é", size)
			if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if _, got, err := conn.Read(ctx); err != nil || string(got) != message {
				t.Fatalf("%s: %d bytes came back as %d, %v", path, len(message), len(got), err)
			}
		}
		if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Errorf("%s: the closing handshake: %v", path, err)
		}
	}
	one, two := e.dialWS(ctx, t, "/websocket/chat", "node2"), e.dialWS(ctx, t, "/websocket/chat", "node2")
	if err := one.Write(ctx, websocket.MessageText, []byte("is anybody there?")); err != nil {
		t.Fatal(err)
	}
	for {
		_, message, err := two.Read(ctx)
		if err != nil {
			t.Fatalf("the chat: %v", err)
		}
		if strings.HasSuffix(string(message), ": is anybody there?") {
			return
		}
	}
}
