package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	sessionsAtOnce    = 6
	clientsPerSession = 3

	// A session's history is closed after so many calls, or so many without an answer, and another session begun: to judge a history takes
	// longer with each open call.
	mostCalls   = 500
	mostUnknown = 10
)

// userSession is one session with its cookie, which all its clients share, and its history.
type userSession struct {
	mu       sync.Mutex
	cookie   string
	history  []operation
	unknown  int
	lastSave int64 // the latest call among the increments that were answered
}

func (s *userSession) record(o operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history = append(s.history, o)
	switch {
	case o.unknown:
		s.unknown++
	case !o.read:
		s.lastSave = max(s.lastSave, o.call)
	}
}

func (s *userSession) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.history) >= mostCalls || s.unknown >= mostUnknown
}

// users are all clients. Their sessions live in slots: a full one makes room for the next.
type users struct {
	began   time.Time
	proxies []string // host:port
	take    string   // how long an increment takes
	seed    uint64

	mu       sync.Mutex
	slots    [sessionsAtOnce]*userSession
	finished []*userSession
	problems []string // answers that no fault explains
	running  sync.WaitGroup
	stop     chan struct{}
}

func startUsers(c *cluster, seed uint64) *users {
	u := &users{began: time.Now(), take: "3ms", seed: seed, stop: make(chan struct{})}
	for _, p := range c.proxies {
		u.proxies = append(u.proxies, p.Address())
	}
	for i := range u.slots {
		u.slots[i] = &userSession{}
		for n := range clientsPerSession {
			id := i*clientsPerSession + n
			u.running.Go(func() { u.work(i, id) })
		}
	}
	return u
}

// now is the time since the run began.
func (u *users) now() int64 { return time.Since(u.began).Nanoseconds() }

func (u *users) stopped() bool {
	select {
	case <-u.stop:
		return true
	default:
		return false
	}
}

// session returns the slot's session, a new one if the last is full.
func (u *users) session(slot int) *userSession {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.slots[slot]
	if s.full() {
		u.finished = append(u.finished, s)
		s = &userSession{}
		u.slots[slot] = s
	}
	return s
}

// work is one client's life.
func (u *users) work(slot, id int) {
	random := rand.New(rand.NewPCG(u.seed, uint64(id)))
	c := newClient(u, id)
	defer c.transport.CloseIdleConnections()
	for !u.stopped() {
		s := u.session(slot)
		if !c.begin(s, random) {
			continue
		}
		c.call(s, random.IntN(5) < 2, u.proxies[random.IntN(len(u.proxies))])
		pause(time.Duration(random.IntN(4)) * time.Millisecond)
	}
}

func pause(d time.Duration) { <-time.After(d) }

// client is one tab of a user's browser.
type client struct {
	users     *users
	id        int
	transport *http.Transport
	http      *http.Client
}

func newClient(u *users, id int) *client {
	// One of a session's clients waits for as long as it takes, the others soon try again: so a session goes on elsewhere while its former
	// owner still has a request of it.
	patience := 5 * time.Second
	if id%clientsPerSession != 0 {
		patience = 250 * time.Millisecond
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 2}
	return &client{users: u, id: id, transport: transport, http: &http.Client{Transport: transport, Timeout: patience}}
}

// begin sees to it that the session exists. While it does not, one client at a time tries to make it, and what did not work is not part of the
// history: nobody knows the id of what it may have made.
func (c *client) begin(s *userSession, random *rand.Rand) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cookie != "" {
		return true
	}
	call := c.users.now()
	got, err := c.send(http.MethodPost, "/increment", "", c.users.proxies[random.IntN(len(c.users.proxies))])
	if err != nil || got.cookie == "" {
		pause(10 * time.Millisecond)
		return false
	}
	s.cookie = got.cookie
	s.history = append(s.history, operation{client: c.id, call: call, end: c.users.now(), value: got.value, note: got.note})
	return true
}

// answer is what a 200 says.
type answer struct {
	value        int
	cookie, note string
}

var errNotSent = errors.New("not sent")

// call makes one call and records it. It reports whether it was answered.
func (c *client) call(s *userSession, read bool, proxy string) bool {
	method, target := http.MethodPost, "/increment?take="+c.users.take
	if read {
		method, target = http.MethodGet, "/value"
	}
	s.mu.Lock()
	cookie := s.cookie
	s.mu.Unlock()
	o := operation{client: c.id, read: read, call: c.users.now()}
	got, err := c.send(method, target, cookie, proxy)
	if err == nil && got.cookie != "" {
		s.mu.Lock()
		s.cookie = got.cookie
		s.mu.Unlock()
	}
	o.end, o.value, o.note = c.users.now(), got.value, fmt.Sprintf("%s sent %s %s", proxy, cookie, got.note)
	switch {
	case err == nil:
		s.record(o)
	case read || errors.Is(err, errNotSent):
		pause(5 * time.Millisecond)
	default:
		o.unknown, o.end, o.note = true, forever, o.note+err.Error()
		s.record(o)
	}
	return err == nil
}

// send makes one request. The error is errNotSent where no application can have seen it.
func (c *client) send(method, target, cookie, proxy string) (answer, error) {
	// The end of the run must not cut requests: what is under way when it comes is waited for.
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+proxy+target, nil)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errNotSent, err)
	}
	if cookie != "" {
		req.Header.Set("Cookie", "JSESSIONID="+cookie)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			err = fmt.Errorf("%w: %w", errNotSent, err)
		}
		return answer{}, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return answer{}, fmt.Errorf("status %d", resp.StatusCode)
	default:
		c.users.problem(fmt.Sprintf("%s %s: status %d, wanted 200, 502, 503 or 504", method, target, resp.StatusCode))
		return answer{}, fmt.Errorf("status %d", resp.StatusCode)
	}
	var body struct {
		Value int    `json:"value"`
		Route string `json:"route"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return answer{}, fmt.Errorf("cut: %w", err)
	}
	got := answer{value: body.Value, note: "at " + body.Route}
	for _, set := range resp.Cookies() {
		if set.Name == "JSESSIONID" {
			got.cookie = set.Value
			got.note += " got " + set.Value
		}
	}
	return got, nil
}

func (u *users) problem(text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.problems = append(u.problems, text)
}

// savedSince says that every session that lives has been saved by an increment that began after a time.
func (u *users) savedSince(at int64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, s := range u.slots {
		s.mu.Lock()
		saved := s.lastSave > at
		s.mu.Unlock()
		if !saved {
			return false
		}
	}
	return true
}

// finish ends the run: no more faults, every client stops, and a last read of each session shows what is left of it. It returns all sessions.
func (u *users) finish() ([]*userSession, error) {
	close(u.stop)
	u.running.Wait()
	c := newClient(u, sessionsAtOnce*clientsPerSession)
	defer c.transport.CloseIdleConnections()
	for i, s := range u.slots {
		u.finished = append(u.finished, s)
		if s.cookie == "" {
			continue
		}
		for try := 0; !c.call(s, true, u.proxies[try%len(u.proxies)]); try++ {
			if try == 200 {
				return nil, fmt.Errorf("session %d cannot be read any more", i)
			}
		}
	}
	return u.finished, nil
}
