package rehydra

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testToken = "the token of the tests"

// clock is a clock that stands still unless it is told to go.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.UnixMilli(1_800_000_000_000)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// rig is a manager behind a real listener, and a client that speaks as the tier does.
type rig struct {
	t       *testing.T
	clock   *clock
	manager *Manager
	url     string
	client  *http.Client
}

func newRig(t *testing.T, o Options, handler http.HandlerFunc) *rig {
	t.Helper()
	r := &rig{t: t, clock: newClock()}
	o.Token, o.Route, o.Now = testToken, "node1", r.clock.Now
	var err error
	if r.manager, err = New(o); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(r.manager.Middleware(handler))
	server.Config.ErrorLog = nil
	server.Start()
	transport := &http.Transport{ReadBufferSize: 2 << 20}
	r.url, r.client = server.URL, &http.Client{Transport: transport, Timeout: 10 * time.Second}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return r
}

// answer is a response with its body read.
type answer struct {
	status  int
	header  http.Header
	trailer http.Header
	body    string
}

// tier sends a request with the token and the fields, given as pairs.
func (r *rig) tier(method, path string, fields ...string) answer {
	r.t.Helper()
	return r.send(method, path, append([]string{fieldTier, testToken}, fields...)...)
}

func (r *rig) send(method, path string, fields ...string) answer {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		request.Header.Add(fields[i], fields[i+1])
	}
	response, err := r.client.Transport.RoundTrip(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, response.Trailer, string(body)}
}

// only returns the id of the one session that is held.
func (r *rig) only() string {
	r.t.Helper()
	g := r.manager.sessions
	g.lock()
	defer g.mu.Unlock()
	if g.order.Len() != 1 {
		r.t.Fatalf("%d sessions held, want one", g.order.Len())
	}
	return g.order.Front().Value.(*record).head.Load().id
}
