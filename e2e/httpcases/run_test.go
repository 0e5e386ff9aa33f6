package httpcases

import (
	"fmt"
	"strings"
	"time"
)

// settle is how long nothing may happen before an outcome that holds is believed: a second response or a repeated
// request would come in that time.
const settle = 300 * time.Millisecond

// run is one case against one proxy.
type run struct {
	c     *testCase
	proxy *proxy
	b     *backends
	base  int // requests that belong to exchanges before this one
	nodes map[string]bool
	never strings.Builder // everything that clients got
}

// runCase plays a case from start to end. The returned text says what is wrong; "" is a pass.
func runCase(bin, dir string, s *suite, c *testCase) (failure string) {
	b, err := startBackends(c, s.DefaultAnswer, 0)
	if err != nil {
		return err.Error()
	}
	defer b.close()
	p, err := startProxy(bin, dir, b.nodes)
	if err != nil {
		return err.Error()
	}
	r := &run{c: c, proxy: p, b: b, nodes: map[string]bool{}}
	memory := watchMemory(p, c.MaxRSSMB)
	for n := 0; n < c.Repeat && failure == ""; n++ {
		failure = r.exchange(n)
	}
	if err := memory(); err != nil && failure == "" {
		failure = err.Error()
	}
	if failure == "" {
		failure = r.rules()
	}
	if err := p.answersProbe(); err != nil {
		failure += "\n" + err.Error()
	}
	if err := p.stop(); err != nil {
		failure += "\n" + err.Error()
	}
	if failure != "" {
		failure += "\nlog of the proxy:\n" + p.lastLog()
	}
	return failure
}

// watchMemory looks at the proxy's memory until the returned function is called, which tells whether it grew too much.
func watchMemory(p *proxy, limitMB int) func() error {
	if limitMB == 0 {
		return func() error { return nil }
	}
	before, err := p.residentMB()
	if err != nil {
		return func() error { return err }
	}
	stop, result := make(chan struct{}), make(chan error)
	go func() {
		most := before
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if now, err := p.residentMB(); err == nil {
					most = max(most, now)
				}
			case <-stop:
				if most-before > limitMB {
					result <- fmt.Errorf("max_rss_mb: memory grew from %d to %d MiB, allowed are %d more", before, most, limitMB)
				}
				close(result)
				return
			}
		}
	}()
	return func() error { close(stop); return <-result }
}

// exchange does the n-th repetition and returns why no outcome holds; "" if one does.
func (r *run) exchange(n int) string {
	ops, err := parseScript(r.c.Client, n)
	if err != nil {
		return err.Error()
	}
	cl, err := dialClient(r.proxy.address, r.c, r.c.Client)
	if err != nil {
		return err.Error()
	}
	played := make(chan struct{})
	go func() { cl.play(ops); close(played) }()
	e := r.observe(cl, n, r.limit(ops))
	cl.close()
	<-played
	r.never.WriteString(e.client.raw)
	if r.c.Client2 != "" {
		if err := r.others(e); err != nil {
			return err.Error()
		}
	}
	failure := r.judge(e)
	r.b.mu.Lock()
	r.base = len(r.b.requests)
	r.b.mu.Unlock()
	return failure
}

// limit is how long the client waits: the pauses of its script are added, but not where it drips bytes.
func (r *run) limit(ops []op) time.Duration {
	d := time.Duration(r.c.LimitMS) * time.Millisecond
	for _, o := range ops {
		if o.name == "sleep" && !o.drip {
			d += o.wait
		}
	}
	return d
}

// patience is how long an outcome is waited for past a case's limit, on a machine that is slow or stands still; only a failing case uses it up.
const patience = 20 * time.Second

// observe waits until an outcome holds and stays, or one holds when the limit is reached.
func (r *run) observe(cl *client, n int, limit time.Duration) *evidence {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		<-tick.C
		e := r.look(cl, n)
		quiet := e.at.Sub(later(e.client.lastAt, e.client.endAt, r.lastAtBackends()))
		took := e.at.Sub(cl.started)
		if took > limit+patience || took > limit && (quiet > closeGrace || took > limit+closeGrace) && r.holds(e, quiet, true) {
			return e
		}
		if e.client.played && quiet >= settle && r.holds(e, quiet, false) {
			return e
		}
	}
}

// holds says whether an outcome holds. One that can be believed before the end of the case's time needs something that was answered or closed.
func (r *run) holds(e *evidence, quiet time.Duration, over bool) bool {
	for i := range r.c.AnyOf {
		o := &r.c.AnyOf[i]
		if !over && (len(o.Status) == 0 && !e.client.end && !o.HTTP2 || o.CloseIs != nil && quiet < closeGrace) {
			continue
		}
		if len(o.check(e, r.c.Client2 != "")) == 0 {
			return true
		}
	}
	return false
}

func later(times ...time.Time) (t time.Time) {
	for _, x := range times {
		if x.After(t) {
			t = x
		}
	}
	return t
}

func (r *run) lastAtBackends() time.Time {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	return r.b.last
}

// look takes a picture of everything seen so far.
func (r *run) look(cl *client, n int) *evidence {
	e := &evidence{n: n, client: cl.answers(), at: time.Now()}
	r.lookAtBackends(e)
	return e
}

func (r *run) lookAtBackends(e *evidence) {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	e.requests = append([]*seen(nil), r.b.requests[r.base:]...)
	e.conns = e.conns[:0]
	for _, c := range r.b.conns {
		e.conns = append(e.conns, connState{rest: string(c.rest), tunnel: c.tunnel, answered: c.answered, ended: c.ended})
	}
}

// others plays client2 once the backend has played its first answer.
func (r *run) others(e *evidence) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(patience); time.Now().Before(until); <-tick.C {
		r.b.mu.Lock()
		done := r.b.played > 0 && time.Since(r.b.last) > 250*time.Millisecond
		r.b.mu.Unlock()
		if done {
			break
		}
	}
	ops, err := parseScript(r.c.Client2, 0)
	if err != nil {
		return err
	}
	for range max(r.c.Client2Times, 1) {
		cl, err := dialClient(r.proxy.address, &testCase{}, r.c.Client2)
		if err != nil {
			return err
		}
		cl.play(ops)
		cl.awaitResponses(1, patience)
		a := cl.answers()
		cl.close()
		e.client2 = append(e.client2, a)
		r.never.WriteString(a.raw)
	}
	r.lookAtBackends(e)
	return nil
}

// judge looks for an outcome that holds.
func (r *run) judge(e *evidence) string {
	for _, req := range e.requests {
		r.nodes[req.node] = true
		if !oneOf(target(req.message), r.c.Targets, e.n) {
			return fmt.Sprintf("targets: a backend got the request %q", clip(req.start))
		}
	}
	var b strings.Builder
	for i := range r.c.AnyOf {
		o := &r.c.AnyOf[i]
		p := o.check(e, false)
		if len(p) == 0 {
			return ""
		}
		fmt.Fprintf(&b, "outcome %q does not hold:\n    %s\n", o.Name, strings.Join(p, "\n    "))
	}
	fmt.Fprintf(&b, "the client got %q", clip(e.client.raw))
	return b.String()
}

// rules are those that hold for every case and over all repetitions.
func (r *run) rules() string {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	var p problems
	for _, s := range r.b.invalid {
		p.add("%s", s)
	}
	for _, never := range r.c.ClientNever {
		if strings.Contains(r.never.String(), text(never, 0)) {
			p.add("client_never: a client got %q", never)
		}
	}
	for _, never := range r.c.BackendNever {
		for _, c := range r.b.conns {
			if strings.Contains(string(c.raw), text(never, 0)) {
				p.add("backend_never: a backend got %q", never)
			}
		}
	}
	if r.c.NotAlways != "" && len(r.nodes) == 1 && r.nodes[r.c.NotAlways] {
		p.add("not_always: every request went to %s", r.c.NotAlways)
	}
	return strings.Join(p, "\n")
}
