package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// user is one client with a session. It makes one request at a time.
type user struct {
	shop   *shop
	cookie string
	last   int // the highest value that was acknowledged
	open   int // increments without an answer that no value has shown yet: each may still happen, also after later ones
}

func (u *user) route() string {
	_, route, _ := strings.Cut(u.cookie, ".")
	return route
}

func (u *user) base() string {
	base, _, _ := strings.Cut(u.cookie, ".")
	return base
}

// send makes one request. status is 0 when there was no answer.
func (u *user) send(method, target string) (value, status int, cookie string, err error) {
	ctx := context.Background() // the client's time-out ends it
	req, err := http.NewRequestWithContext(ctx, method, "http://"+u.shop.proxy.Address()+target, nil)
	if err != nil {
		return 0, 0, "", err
	}
	if u.cookie != "" {
		req.Header.Set("Cookie", "JSESSIONID="+u.cookie)
	}
	resp, err := u.shop.client.Do(req)
	if err != nil {
		return 0, 0, "", err
	}
	defer resp.Body.Close()
	for _, c := range resp.Cookies() {
		if c.Name == "JSESSIONID" {
			cookie = c.Value
		}
	}
	if resp.StatusCode != http.StatusOK {
		return 0, resp.StatusCode, cookie, fmt.Errorf("%s %s: status %d", method, target, resp.StatusCode)
	}
	var body struct {
		Value int `json:"value"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return 0, resp.StatusCode, cookie, fmt.Errorf("%s %s: %w", method, target, err)
	}
	return body.Value, resp.StatusCode, cookie, nil
}

// increment adds one. The error says that the answer was no 200; wrong, that its value cannot be.
func (u *user) increment() (wrong string, status int, err error) {
	value, status, cookie, err := u.send(http.MethodPost, "/increment")
	if err != nil {
		u.open++
		return "", status, err
	}
	wrong = u.judge(value, u.last+1, u.last+1+u.open, cookie)
	u.open -= value - (u.last + 1)
	u.last = value
	return wrong, status, nil
}

// read looks at the value.
func (u *user) read() (wrong string, status int, err error) {
	value, status, cookie, err := u.send(http.MethodGet, "/value")
	if err != nil {
		return "", status, err
	}
	wrong = u.judge(value, u.last, u.last+u.open, cookie)
	u.open -= value - u.last
	u.last = value
	return wrong, status, nil
}

// judge says what is wrong with an answer; "": nothing is.
func (u *user) judge(value, least, most int, cookie string) (wrong string) {
	if cookie != "" {
		if old := u.base(); old != "" && !strings.HasPrefix(cookie, old+".") {
			wrong = fmt.Sprintf("session %.8s became %.8s; ", old, cookie)
		}
		u.cookie = cookie
	}
	if value < least || value > most {
		wrong += fmt.Sprintf("session %.8s: value %d, wanted %d to %d", u.cookie, value, least, most)
	}
	return wrong
}

// tally is what a number of requests came to.
type tally struct {
	mu      sync.Mutex
	right   int
	wrong   []string
	failed  map[string]int // answers that were no 200, by what they were
	longest time.Duration
}

func (c *tally) add(took time.Duration, wrong string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.longest = max(c.longest, took)
	switch {
	case err != nil:
		if c.failed == nil {
			c.failed = map[string]int{}
		}
		c.failed[err.Error()]++
	case wrong != "":
		c.wrong = append(c.wrong, wrong)
	default:
		c.right++
	}
}

func (c *tally) failures() (n int) {
	for _, k := range c.failed {
		n += k
	}
	return n
}

func (c *tally) String() string {
	return fmt.Sprintf("%d right, %d wrong, %d failed; the longest took %v", c.right, len(c.wrong), c.failures(), c.longest.Round(time.Millisecond))
}

// check fails the test for wrong answers and, unless they are excused, for failed ones.
func (c *tally) check(t *testing.T, what string, failuresExcused bool) {
	t.Helper()
	t.Logf("%s: %v", what, c)
	for _, w := range c.wrong[:min(len(c.wrong), 5)] {
		t.Error(w)
	}
	if failuresExcused {
		return
	}
	for f, n := range c.failed {
		t.Errorf("%d times: %s", n, f)
	}
}

// all lets every user do something once, so many at a time.
func all(users []*user, atOnce int, do func(*user) (string, int, error)) *tally {
	c := &tally{}
	next := make(chan *user)
	var running sync.WaitGroup
	for range min(atOnce, len(users)) {
		running.Go(func() {
			for u := range next {
				began := time.Now()
				wrong, _, err := do(u)
				c.add(time.Since(began), wrong, err)
			}
		})
	}
	for _, u := range users {
		next <- u
	}
	close(next)
	running.Wait()
	return c
}

// during lets users make requests, one after the other each, until what ends.
func during(users []*user, what func()) *tally {
	c := &tally{}
	stop := make(chan struct{})
	var running sync.WaitGroup
	for _, u := range users {
		running.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
				do := u.increment
				if n%3 == 2 {
					do = u.read
				}
				began := time.Now()
				wrong, _, err := do()
				c.add(time.Since(began), wrong, err)
			}
		})
	}
	what()
	close(stop)
	running.Wait()
	return c
}

// login gives the shop users, each with a session that has counted to 1.
func (s *shop) login(n int) []*user {
	s.t.Helper()
	users := make([]*user, n)
	for i := range users {
		users[i] = &user{shop: s}
	}
	all(users, 16, (*user).increment).check(s.t, fmt.Sprintf("%d users log in", n), false)
	return users
}
