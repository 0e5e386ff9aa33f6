package main

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"

	"rehydra/e2e/harness"
	"rehydra/proxy/session"
)

// openTestProgram opens what a configuration describes, on free ports, and does not start it.
func openTestProgram(t *testing.T, document string) *program {
	t.Helper()
	cfg, _, err := ParseConfig("test.toml", "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n"+document)
	if err != nil {
		t.Fatal(err)
	}
	p, err := openProgram(&cfg, zerolog.Nop(), new(sockets))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

// gather returns the families that GET /metrics shows, by name.
func gather(t *testing.T, p *program) map[string]*dto.MetricFamily {
	t.Helper()
	registry, err := newRegistry(p)
	if err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]*dto.MetricFamily, len(families))
	for _, f := range families {
		found[f.GetName()] = f
	}
	return found
}

const tieredPool1 = `
[session]
token = "metrics-test-token"
[store]
kind = "embedded"
[[pool]]
name = "shop"
[[pool.backend]]
route = "node1"
url = "http://127.0.0.1:1"
`

var documentedMetric = regexp.MustCompile("(?m)^\\| `(rehydra_[a-z_]+)` \\| (counter|gauge|histogram) \\|([^|]*)\\|")

// TestMetricsAreDocumented: docs/operations.md and the registry know the same metrics, with the same types and labels.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range documentedMetric.FindAllStringSubmatch(string(text), -1) {
		if documented[m[1]] != "" {
			t.Errorf("%s is documented twice", m[1])
		}
		documented[m[1]] = m[2] + " " + strings.ReplaceAll(strings.TrimSpace(m[3]), "`", "")
	}
	certificate := harness.NewAuthority(t).Issue(t, harness.Wanted{Names: []string{"shop.test"}})
	p := openTestProgram(t, tlsServer(certificate)+tieredPool1)
	found := map[string]string{}
	for name, f := range gather(t, p) {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		found[name] = strings.ToLower(f.GetType().String()) + " " + strings.Join(labels, ", ")
		if !strings.HasPrefix(name, "rehydra_") {
			t.Errorf("%s: wanted a name that begins with rehydra_", name)
		}
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
	}
	for name, want := range found {
		if documented[name] != want {
			t.Errorf("docs/operations.md says of %s %q, wanted %q", name, documented[name], want)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(documented)) {
		if found[name] == "" {
			t.Errorf("docs/operations.md has %s, which there is not", name)
		}
	}
}

// TestFixedMetricsAreThereFromTheStart: alerts are written against these names, and a rise from nothing is none. They are there without
// a session tier too.
func TestFixedMetricsAreThereFromTheStart(t *testing.T) {
	for name, document := range map[string]string{"tier": tieredPool1, "no tier": plainPool} {
		families := gather(t, openTestProgram(t, document))
		for _, what := range []string{"saves", "restores", "lost", "fenced", "conflicts", "unprotected"} {
			f := families["rehydra_session_"+what+"_total"]
			if f == nil || len(f.GetMetric()) != 1 || f.GetType() != dto.MetricType_COUNTER || f.GetMetric()[0].GetCounter().GetValue() != 0 {
				t.Errorf("%s: rehydra_session_%s_total is %v, wanted a counter at 0", name, what, f)
			}
		}
	}
}

// doneStore does nothing, at once.
type doneStore struct{ session.Store }

func (doneStore) Save(context.Context, session.Key, session.Record) error { return nil }
func (doneStore) SaveAsync(_ session.Key, _ session.Record, done func(error)) {
	done(session.ErrFenced)
}

// TestSavesAreTimed: each save counts once, also one that failed, and timing it allocates nothing.
func TestSavesAreTimed(t *testing.T) {
	timings := newTimings()
	s := timedStore{doneStore{}, timings.saves}
	var err error
	s.SaveAsync(session.Key{}, session.Record{}, func(e error) { err = e })
	if err != session.ErrFenced {
		t.Errorf("the error of an asynchronous save arrived as %v, wanted %v", err, session.ErrFenced)
	}
	ctx := t.Context()
	const saves = 100
	allocations := testing.AllocsPerRun(saves-1, func() {
		if s.Save(ctx, session.Key{}, session.Record{}) != nil {
			t.Error("a save failed")
		}
	})
	if allocations != 0 {
		t.Errorf("timing a save: %v allocations, wanted 0", allocations)
	}
	var m dto.Metric
	if err := timings.saves.Write(&m); err != nil {
		t.Fatal(err)
	}
	if n := m.GetHistogram().GetSampleCount(); n != saves+1 {
		t.Errorf("%d saves were timed, wanted %d", n, saves+1)
	}
	if sum := m.GetHistogram().GetSampleSum(); sum <= 0 || sum > (10*time.Second).Seconds() {
		t.Errorf("they took %v s", sum)
	}
}
