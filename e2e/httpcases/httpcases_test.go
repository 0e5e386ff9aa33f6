// Package httpcases plays raw HTTP exchanges through the built binary. See README.md.
package httpcases

import (
	"flag"
	"fmt"
	"os"
	"sort"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// A case mostly waits for things that must not happen, so many of them fit on one processor.
	if err := flag.Set("test.parallel", "12"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// TestCases plays the collected cases; TestMoreCases those that were added here, for kinds that the others leave out.
func TestCases(t *testing.T)     { playSuite(t, "testdata/http.json") }
func TestMoreCases(t *testing.T) { playSuite(t, "testdata/more.json") }

func playSuite(t *testing.T, file string) {
	s, err := loadSuite(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.validate(); err != nil {
		t.Fatal(err)
	}
	bin, err := buildRehydra(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	// The slowest first, so that the end does not wait for one that began late.
	sort.SliceStable(s.Cases, func(i, j int) bool { return s.Cases[i].LimitMS > s.Cases[j].LimitMS })
	for i := range s.Cases {
		c := &s.Cases[i]
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			if failure := runCase(bin, t.TempDir(), s, c); failure != "" {
				t.Errorf("%s: %s\n%s", c.ID, c.About, failure)
			}
		})
	}
}

// validate reads every text once, so that a mistake in one is found before anything starts.
func (s *suite) validate() error {
	for _, c := range s.Cases {
		texts := append([]string{c.Client, c.Client2}, c.Backend...)
		texts = append(append(append(texts, c.Targets...), c.ClientNever...), c.BackendNever...)
		for _, o := range c.AnyOf {
			texts = append(append(append(texts, o.HeadHas...), o.HeadHasAny...), o.HeadLacks...)
			texts = append(texts, o.InterimHas...)
			for _, p := range append([]*string{o.BodyPrefixOf, o.Tunnel, o.Body2, o.BackendTunnel}, o.Body...) {
				if p != nil {
					texts = append(texts, *p)
				}
			}
			for _, r := range o.Seen {
				texts = append(append(append(append(texts, r.Target...), r.Has...), r.HasAny...), r.Lacks...)
				if r.Body != nil {
					texts = append(texts, *r.Body)
				}
			}
		}
		for _, text := range texts {
			if _, err := parseScript(text, 0); err != nil {
				return fmt.Errorf("case %s: %w", c.ID, err)
			}
		}
		if len(c.AnyOf) == 0 {
			return fmt.Errorf("case %s has no outcome", c.ID)
		}
	}
	return nil
}
