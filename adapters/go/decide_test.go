package rehydra

import "testing"

// holds is a backend's sessions: full id to version.
type holds map[string]string

func (h holds) local(base string) (string, version, bool) {
	for id, text := range h {
		if baseOf(id) == base {
			v, _ := parseVersion(text)
			return id, v, true
		}
	}
	return "", version{}, false
}

// TestDecide reads beside section 2 of the protocol, rule by rule. The backend is node1.
func TestDecide(t *testing.T) {
	one := holds{"A.node1": "2.5"}
	for _, c := range []struct {
		name    string
		cookies []string
		id      string
		have    string // "" = absent
		state   bool
		local   holds
		want    decision
	}{
		{name: "3: no id, nothing held", want: decision{}},
		{name: "3: no Rehydra-Id, a local cookie", cookies: []string{"A.node1"}, local: one, want: decision{run: "A.node1"}},
		{name: "3: no Rehydra-Id, another route", cookies: []string{"A.node2"}, local: one, want: decision{}},
		{name: "3: none, nothing held", id: "A.node1", have: "none", want: decision{}},
		{name: "3: none, held under exactly the id", id: "A.node1", have: "none", local: one, want: decision{run: "A.node1"}},
		{name: "3: none, held under another route", id: "A.node2", have: "none", local: one, want: decision{}},
		{name: "3: gone, nothing held", id: "A.node1", have: "gone", want: decision{}},
		{name: "3: gone, a local copy", id: "A.node2", have: "gone", local: one, want: decision{drop: true}},
		{name: "3: ask, nothing held", id: "A.node2", have: "ask", want: decision{need: "A.node2"}},
		{name: "3: ask, a local copy", id: "A.node1", have: "ask", local: one, want: decision{need: "A.node1"}},
		{name: "3: a Have that cannot be read", id: "A.node1", have: "new", local: one, want: decision{need: "A.node1"}},

		{name: "4: state, nothing held", id: "A.node2", have: "3.0", state: true, want: decision{run: "A.node2", install: true}},
		{name: "4: state, newer", id: "A.node2", have: "3.0", state: true, local: one, want: decision{run: "A.node2", install: true}},
		{name: "4: state, as old", id: "A.node2", have: "2.5", state: true, local: one, want: decision{run: "A.node2"}},
		{name: "4: state, older", id: "A.node2", have: "2.4", state: true, local: one, want: decision{run: "A.node2"}},
		{name: "4: state, a larger counter of an older generation", id: "A.node1", have: "1.9", state: true, local: one, want: decision{run: "A.node1"}},

		{name: "5: held, Have as new", id: "A.node1", have: "2.5", local: one, want: decision{run: "A.node1"}},
		{name: "5: held, Have older, another route", id: "A.node2", have: "2.4", local: one, want: decision{run: "A.node2"}},
		{name: "5: held, no Have, own route", id: "A.node1", local: one, want: decision{run: "A.node1"}},
		{name: "6: held, no Have, another route", id: "A.node2", local: one, want: decision{need: "A.node2"}},
		{name: "6: held, no Have, no route", id: "A", local: one, want: decision{need: "A"}},
		{name: "6: held, Have newer", id: "A.node1", have: "3.0", local: one, want: decision{need: "A.node1"}},
		{name: "6: not held, Have", id: "A.node1", have: "2.5", want: decision{need: "A.node1"}},
		{name: "6: not held, no Have", id: "A.node1", want: decision{need: "A.node1"}},

		{name: "several: none held, the first is named", cookies: []string{"B.node1", "A.node1"}, id: "A.node1",
			want: decision{need: "B.node1"}},
		{name: "several: the first one held is named", cookies: []string{"B.node2", "A.node2"}, id: "B.node2", local: one,
			want: decision{need: "A.node2"}},
		{name: "several: Have is not about the one held", cookies: []string{"B.node1", "A.node1"}, id: "B.node1", have: "9.0", local: one,
			want: decision{run: "A.node1"}},
		{name: "several: none is not about the one held", cookies: []string{"B.node2", "A.node1"}, id: "B.node2", have: "none", local: one,
			want: decision{run: "A.node1"}},
		{name: "several: none, another one held under another route", cookies: []string{"B.node2", "A.node2"}, id: "B.node2", have: "none",
			local: one, want: decision{need: "A.node2"}},
		{name: "several: gone, another one held", cookies: []string{"B.node1", "A.node1"}, id: "B.node1", have: "gone",
			local: holds{"A.node1": "1.1", "B.node1": "1.1"}, want: decision{run: "A.node1", drop: true}},
		{name: "several: state for the second", cookies: []string{"A.node1", "B.node2"}, id: "B.node2", have: "2.0", state: true, local: one,
			want: decision{run: "B.node2", install: true}},
		{name: "an id from elsewhere than a cookie", cookies: nil, id: "A.node1", local: one, want: decision{run: "A.node1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var fields []string
			if c.have != "" {
				fields = []string{c.have}
			}
			s := situation{ids: c.cookies, id: c.id, state: c.state, route: "node1", local: c.local.local}
			s.have, s.version = parseHave(fields)
			if s.ids == nil && c.id != "" && c.name != "an id from elsewhere than a cookie" {
				s.ids = []string{c.id}
			}
			if got := decide(s); got != c.want {
				t.Errorf("decide = %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestParseHaveTwice(t *testing.T) {
	if have, _ := parseHave([]string{"2.0", "2.0"}); have != haveAsk {
		t.Errorf("two fields are %v, want ask", have)
	}
}
