package checks

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// sessionChecks: what a response says of its session (section 3).
func sessionChecks() []Check {
	return []Check{
		{"session/none", "a request that concerns no session is answered with Rehydra-Adapter alone (3)", func(p *probe) {
			pg, r := p.page(call{query: do("show")})
			p.want(pg.session == "none", "session %s given, wanted none", pg.session)
			p.want(len(r.fields()) == 1, "%v given, wanted Rehydra-Adapter alone", r.fields())
		}},
		{"session/new", "a new session is reported as 1.1 with its state, id, app and ttl, and set as a cookie (3)", newSession},
		{"session/same", "a request that changes nothing is reported as same, without a state (3)", func(p *probe) {
			s := p.start()
			for range 3 {
				pg, r := p.page(call{query: do("show"), cookies: []string{s.id}})
				f := p.final(r)
				p.want(pg.values["color"] == "red", "color %q given, wanted red", pg.values["color"])
				p.want(f.how == "same" && f.version == s.version, "%s %s given, wanted same %s", f.how, f.version, s.version)
				p.want(f.id == s.id, "id %s given, wanted %s", f.id, s.id)
			}
		}},
		{"session/changed", "each change counts the version up and brings the new state (Terms, 3)", func(p *probe) {
			s := p.start()
			last := s
			for i, v := range []string{"green", "blue"} {
				_, r := p.page(call{query: do("set", "k", "color", "v", v), cookies: []string{s.id}})
				f := p.final(r)
				p.want(f.state != nil && string(f.state) != string(last.state), "change %d: the state is the one before", i+1)
				p.want(f.version.generation == 1 && f.version.newer(last.version), "version %s given after %s", f.version, last.version)
				last.version, last.state = f.version, f.state
			}
		}},
		{"session/rewritten", "a value that is set to what it was is no change (3)", func(p *probe) {
			s := p.start()
			_, r := p.page(call{query: do("set", "k", "color", "v", "red"), cookies: []string{s.id}})
			f := p.final(r)
			p.want(f.how == "same" && f.version == s.version, "%s %s given, wanted same %s", f.how, f.version, s.version)
		}},
		{"session/in-place", "a value that is changed in place, without being set again, is a change (3)", func(p *probe) {
			s := p.start()
			for i, want := range []string{"tea", "tea,cups", "tea,cups,pot"} {
				item := want[strings.LastIndex(want, ",")+1:]
				pg, r := p.page(call{query: do("append", "k", "cart", "v", item), cookies: []string{s.id}})
				f := p.final(r)
				p.want(pg.values["cart"] == want, "cart %q given, wanted %q", pg.values["cart"], want)
				p.want(f.state != nil && f.version.newer(s.version), "append %d: %s %s given after %s, wanted a new state",
					i+1, f.how, f.version, s.version)
				s.version = f.version
			}
		}},
		{"session/delete", "a removed value is a change (3)", func(p *probe) {
			s := p.start()
			_, r := p.page(call{query: do("delete", "k", "color"), cookies: []string{s.id}})
			f := p.final(r)
			p.want(f.state != nil && f.version.newer(s.version), "%s %s given after %s, wanted a new state", f.how, f.version, s.version)
		}},
		{"session/statuses", "errors, redirects and answers without a body tell of the session as well (3)", statuses},
		{"session/head", "a HEAD request tells of the session as well (3)", func(p *probe) {
			s := p.start()
			r := p.send(call{method: http.MethodHead, query: do("set", "k", "color", "v", "blue"), cookies: []string{s.id}})
			f := p.final(r)
			p.want(f.state != nil && f.version.newer(s.version), "%s %s given after %s, wanted a new state", f.how, f.version, s.version)
		}},
		{"session/parallel", "no version names two states, however many requests change a session at once (Terms)", parallel},
	}
}

func newSession(p *probe) {
	pg, r := p.page(call{query: do("set", "k", "color", "v", "red")})
	f := p.final(r)
	p.want(f.state != nil, "state=%s given, wanted the new state", f.report.state)
	p.want(f.version == version{1, 1}, "version %s given, wanted 1.1", f.version)
	p.want(f.was == "", "was=%q given, wanted none", f.was)
	p.want(strings.Contains(f.id, ".") && !strings.HasSuffix(f.id, "."), "id %q given, wanted <base id>.<route>", f.id)
	p.want(pg.session == f.id, "id %q reported, while the application sees %q", f.id, pg.session)
	p.want(r.cookie(p.target.Cookie) == f.id, "cookie %q set, wanted %q", r.cookie(p.target.Cookie), f.id)
}

func statuses(p *probe) {
	s := p.start()
	for _, status := range []int{201, 204, 302, 404, 500} {
		r := p.send(call{query: do("set", "k", "color", "v", fmt.Sprint(status), "status", fmt.Sprint(status)), cookies: []string{s.id}})
		p.want(r.status == status, "status %d given, wanted the application's %d", r.status, status)
		f := p.final(r)
		p.want(f.state != nil && f.version.newer(s.version), "status %d: %s %s given after %s, wanted a new state",
			status, f.how, f.version, s.version)
		s.version = f.version
	}
}

// parallel changes a session from many requests at once. What is reported under one version must be one state.
func parallel(p *probe) {
	const requests = 24
	s := p.start()
	var mu sync.Mutex
	states := map[version]string{s.version: string(s.state)}
	var failures []string
	var wg sync.WaitGroup
	for i := range requests {
		wg.Go(func() {
			failure := attempt(func() {
				_, r := p.page(call{query: do("set", "k", fmt.Sprintf("k%d", i), "v", "1"), cookies: []string{s.id}})
				f := p.final(r)
				mu.Lock()
				defer mu.Unlock()
				if f.state == nil {
					return // another request of the session reported this change with its own
				}
				if before, ok := states[f.version]; ok && before != string(f.state) {
					failures = append(failures, fmt.Sprintf("version %s names two states", f.version))
				}
				states[f.version] = string(f.state)
			})
			if failure != "" {
				mu.Lock()
				failures = append(failures, failure)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	p.want(len(failures) == 0, "%d failures, the first: %v", len(failures), failures)
	pg, _ := p.page(call{query: do("show"), cookies: []string{s.id}})
	p.want(len(pg.values) == requests+1, "%d values left, wanted %d", len(pg.values), requests+1)
}

// attempt runs f on a goroutine of its own and returns why it failed, or "".
func attempt(f func()) (reason string) {
	defer func() {
		if v, ok := recover().(verdict); ok {
			reason = v.reason
		}
	}()
	f()
	return ""
}
