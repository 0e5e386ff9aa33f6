package failover

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rehydra/e2e/tomcat"
)

// counts is what one user of the load test has seen.
type counts struct {
	acknowledged int // answers with 200
	unknown      int // POSTs without an answer of the application: done or not
	last         int // the count in the last answer
	longest      time.Duration
	wrong        []string
}

const (
	loadUsers  = 200
	loadBefore = 3 // increments of each user before the kill, and at least after it
	loadAfter  = 5
)

// TestKillUnderLoad kills one of two Tomcats while 200 users count. In sync mode
// no increment that was acknowledged may be lost, and no POST may run twice.
func TestKillUnderLoad(t *testing.T) {
	c := start(t, tomcat.Tomcat10)
	var users [loadUsers]*user
	var seen [loadUsers]counts
	var warm, running sync.WaitGroup
	warm.Add(loadUsers)
	killed := make(chan struct{})
	slots := make(chan struct{}, 32) // requests at once: two cores run all of this
	var perNode [2]atomic.Int32
	for i := range users {
		users[i] = c.user(t)
		running.Go(func() {
			s := &seen[i]
			for n := 0; n < loadBefore; n++ {
				users[i].count(s, slots, fmt.Sprintf("%d-%d", i, n))
			}
			perNode[users[i].nodeOfCookie("/shop")[4]-'1'].Add(1)
			warm.Done()
			after := 0
			for n := loadBefore; after < loadAfter; n++ {
				users[i].count(s, slots, fmt.Sprintf("%d-%d", i, n))
				select {
				case <-killed:
					after++
				default:
				}
			}
		})
	}
	warm.Wait()
	c.nodes["node1"].Kill9() // while everybody counts on
	close(killed)
	running.Wait()

	var total counts
	for i := range seen {
		s := &seen[i]
		for _, w := range s.wrong {
			t.Errorf("user %d: %s", i, w)
		}
		p := users[i].get("/shop/session?op=touch")
		final, err := strconv.Atoi(p.Values["count"])
		if err != nil || final < s.acknowledged || final > s.acknowledged+s.unknown {
			t.Errorf("user %d counted to %q, wanted %d to %d", i, p.Values["count"], s.acknowledged, s.acknowledged+s.unknown)
		}
		total.acknowledged += s.acknowledged
		total.unknown += s.unknown
		total.longest = max(total.longest, s.longest)
	}
	twice, executed := 0, make(map[string]int)
	for _, s := range c.nodes {
		for _, line := range s.Executed() {
			if executed[line]++; executed[line] == 2 {
				twice++
				t.Errorf("POST %s ran twice", line)
			}
		}
	}
	if perNode[0].Load() == 0 {
		t.Error("no session was on the node that was killed")
	}
	t.Logf("%d users, %d of them on the node that was killed; %d increments acknowledged, %d without an answer; "+
		"%d executed, %d of them twice; %v sessions restored, %v lost; longest answer %v",
		loadUsers, perNode[0].Load(), total.acknowledged, total.unknown, len(executed), twice,
		c.proxy.Metric(t, "rehydra_session_restores_total"), c.proxy.Metric(t, "rehydra_session_lost_total"), total.longest.Round(time.Millisecond))
}

// count posts one increment. The number that comes back must be above the last.
func (u *user) count(s *counts, slots chan struct{}, request string) {
	slots <- struct{}{}
	defer func() { <-slots }()
	begun := time.Now()
	p, err := u.try("POST", "/shop/session?op=count&request="+request, nil)
	s.longest = max(s.longest, time.Since(begun))
	switch {
	case err != nil:
		s.wrong = append(s.wrong, fmt.Sprintf("request %s: %v", request, err))
	case p.status == 502 || p.status == 503:
		s.unknown++ // the node died with it
	case p.status != 200:
		s.wrong = append(s.wrong, fmt.Sprintf("request %s was answered %d: %s", request, p.status, p.text))
	default:
		n, err := strconv.Atoi(p.Values["count"])
		if err != nil || n <= s.last || n <= s.acknowledged {
			s.wrong = append(s.wrong, fmt.Sprintf("request %s counted to %q after %d, with %d acknowledged", request, p.Values["count"], s.last, s.acknowledged))
		}
		s.acknowledged++
		s.last = n
	}
}
