package history

import (
	"fmt"
	"math/rand/v2"
	"time"

	"rehydra/e2e/harness"
)

// A lane is one kind of server, of which at most one is in trouble at any moment. What it does next, and for how long, comes from the
// seed alone; when, from how long that took.
type lane struct {
	name    string
	random  *rand.Rand
	servers int
	kill    func(int)
	restart func(int)
	freeze  func(int)
	thaw    func(int)
	kills   bool          // else it only freezes
	quiet   [2]int        // milliseconds of peace, least and most
	trouble [2]int        // milliseconds of trouble, least and most
	ready   func() bool   // whether the next trouble may come; nil: it may
	healed  func()        // called when the trouble is over
	next    time.Time     // of what comes next
	over    func() string // ends the present trouble; nil: there is none
	done    map[string]int
}

func (l *lane) between(limits [2]int) time.Duration {
	return time.Duration(limits[0]+l.random.IntN(limits[1]-limits[0]+1)) * time.Millisecond
}

// step does what is due and returns what it did, "" for nothing.
func (l *lane) step(now time.Time) string {
	if now.Before(l.next) {
		return ""
	}
	if l.over != nil {
		return l.end()
	}
	if l.ready != nil && !l.ready() {
		return ""
	}
	i, kill := l.random.IntN(l.servers), l.random.IntN(2) == 0
	length := l.between(l.trouble)
	l.next = now.Add(length)
	if kill && l.kills {
		l.kill(i)
		l.done["killed"]++
		l.over = func() string { l.restart(i); return fmt.Sprintf("%s %d restarted", l.name, i+1) }
		return fmt.Sprintf("%s %d killed for %v", l.name, i+1, length)
	}
	l.freeze(i)
	l.done["paused"]++
	l.over = func() string { l.thaw(i); return fmt.Sprintf("%s %d goes on", l.name, i+1) }
	return fmt.Sprintf("%s %d paused for %v", l.name, i+1, length)
}

// end ends the trouble there is.
func (l *lane) end() string {
	what := l.over()
	l.over = nil
	if l.healed != nil {
		l.healed()
	}
	l.next = time.Now().Add(l.between(l.quiet))
	return what
}

// ownerLane pauses a backend and, with it, a proxy: the other proxy sees the backend out and takes its sessions elsewhere, while the one that
// was paused still has answers of it under way and knows of nothing. That is what fencing is for. A proxy that sees its backend out gives
// up what it has under way there.
func (c *cluster) ownerLane(seed uint64) *lane {
	backend := func(i int) *harness.Program { return c.backends[i%len(c.backends)] }
	proxy := func(i int) *harness.Proxy { return c.proxies[i/len(c.backends)] }
	return &lane{
		name: "backend with proxy", servers: len(c.backends) * len(c.proxies), random: rand.New(rand.NewPCG(seed, 1)),
		quiet: [2]int{200, 400}, trouble: [2]int{800, 1200}, done: map[string]int{},
		freeze: func(i int) { proxy(i).Freeze(c.t); backend(i).Freeze(c.t) },
		thaw:   func(i int) { backend(i).Thaw(c.t); proxy(i).Thaw(c.t) },
	}
}

func (c *cluster) backendLane(seed uint64) *lane {
	return &lane{
		name: "backend", servers: len(c.backends), kills: true, random: rand.New(rand.NewPCG(seed, 1)),
		quiet: [2]int{200, 800}, trouble: [2]int{200, 1500}, done: map[string]int{},
		kill: func(i int) { c.backends[i].Kill(c.t) }, restart: func(i int) { c.backends[i].Restart(c.t) },
		freeze: func(i int) { c.backends[i].Freeze(c.t) }, thaw: func(i int) { c.backends[i].Thaw(c.t) },
	}
}

func (c *cluster) proxyLane(seed uint64) *lane {
	return &lane{
		name: "proxy", servers: len(c.proxies), kills: true, random: rand.New(rand.NewPCG(seed, 2)),
		quiet: [2]int{500, 1500}, trouble: [2]int{50, 1000}, done: map[string]int{},
		kill: func(i int) {
			c.fenced += c.proxies[i].Metric(c.t, "rehydra_session_fenced_total")
			c.proxies[i].Kill(c.t)
		},
		restart: c.restartProxy,
		freeze:  func(i int) { c.proxies[i].Freeze(c.t) }, thaw: func(i int) { c.proxies[i].Thaw(c.t) },
	}
}

func (c *cluster) storeLane(seed uint64, u *users) *lane {
	back := u.now()
	return &lane{
		name: "memcached", servers: len(c.nodes), kills: true, random: rand.New(rand.NewPCG(seed, 3)),
		// A proxy finds out within retry and two time-outs, 250 ms here, that a node is back. What may be lost if another one dies before, sessiontier/README.md says.
		quiet: [2]int{300, 600}, trouble: [2]int{100, 1000}, done: map[string]int{},
		kill: func(i int) { c.nodes[i].Kill(c.t) }, restart: func(i int) { c.nodes[i].Restart(c.t) },
		freeze: func(i int) { c.nodes[i].Freeze(c.t) }, thaw: func(i int) { c.nodes[i].Thaw(c.t) },
		ready:  func() bool { return u.savedSince(back) },
		healed: func() { back = u.now() },
	}
}

// trouble makes trouble for a time, and sees to it that all is well at the end. It logs what it did.
func (c *cluster) trouble(u *users, length time.Duration, lanes ...*lane) {
	c.t.Helper()
	for _, l := range lanes {
		l.next = time.Now().Add(l.between(l.quiet))
	}
	say := func(what string) {
		if what != "" {
			c.t.Logf("%8.1fms  %s", float64(u.now())/1e6, what)
		}
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(length); time.Now().Before(end); <-tick.C {
		for _, l := range lanes {
			say(l.step(time.Now()))
		}
	}
	for _, l := range lanes {
		if l.over != nil {
			say(l.end())
		}
	}
}
