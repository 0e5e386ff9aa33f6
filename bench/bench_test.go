package main

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen starts a backend inside the test and returns its address.
func listen(t *testing.T, route string, body int) string {
	t.Helper()
	page, err := renderPage(route, body)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveBackend(ctx, listener, func(c net.Conn) { answerRequests(c, page) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func TestLoadCountsWhatABackendAnswers(t *testing.T) {
	w := keepAlive1K()
	var events []string
	result, err := generate(t.Context(), LoadSpec{
		Address: listen(t, "node1", w.Body), Routes: []string{"node1"}, Connections: 4,
		Head: w.Head, Body: w.Body, Warm: time.Second, Time: 2 * time.Second,
	}, func(e string) { events = append(events, e) })
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(events, " ") != "start end" {
		t.Errorf("events %q, wanted start and end", events)
	}
	if result.Requests < 100 || result.Warm < 1 {
		t.Errorf("%d requests after %d of warming up in 2 s, wanted many", result.Requests, result.Warm)
	}
	if result.P50 <= 0 || result.P50 > result.P99 || result.P99 > result.Max || result.Max > time.Minute {
		t.Errorf("p50 %v, p99 %v, max %v: wanted them in this order", result.P50, result.P99, result.Max)
	}
}

// A proxy that answers fast and wrong must not look good.
func TestLoadRefusesWrongAnswers(t *testing.T) {
	w := keepAlive1K()
	for _, c := range []struct {
		name, route string
		body        int
		wanted      string
	}{
		{"another backend's page", "node2", w.Body, "from node1"},
		{"a page of another length", "node1", w.Body - 1, "wanted 1024 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := generate(t.Context(), LoadSpec{
				Address: listen(t, c.route, c.body), Routes: []string{"node1"}, Connections: 2,
				Head: w.Head, Body: w.Body, Time: 10 * time.Second,
			}, func(string) {})
			if err == nil || !strings.Contains(err.Error(), c.wanted) {
				t.Errorf("error %v, wanted one that says %q", err, c.wanted)
			}
		})
	}
}

func TestLoadSaysWhenNobodyListens(t *testing.T) {
	address, err := freeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = generate(t.Context(), LoadSpec{Address: address, Routes: []string{"node1"}, Connections: 1, Head: keepAlive1K().Head, Time: time.Minute}, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "cannot connect") {
		t.Errorf("error %v, wanted: cannot connect", err)
	}
}

func TestUsageOfAProcessTree(t *testing.T) {
	// A shell whose child does the work: what the child used is the tree's, while it runs and when it has ended.
	dir := t.TempDir()
	script := `(i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; exec sleep 60) & trap "kill $!" TERM; wait`
	p, err := startProcess(t.Context(), dir, "worker", "/bin/sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	err = p.waitFor(t.Context(), "done its work", func() bool { return strings.Contains(p.tail(), "done") })
	if err != nil {
		t.Fatal(err)
	}
	all, err := listProcesses()
	if err != nil {
		t.Fatal(err)
	}
	usage, err := all.tree(p.pid())
	if err != nil {
		t.Fatal(err)
	}
	if usage.CPU() < 50*time.Millisecond || usage.CPU() > 10*time.Second {
		t.Errorf("the tree used %v of processor time, wanted what 200,000 turns take", usage.CPU())
	}
	if usage.Resident < 100<<10 {
		t.Errorf("the tree has %d bytes in memory, wanted more than nothing", usage.Resident)
	}
	if _, err := all.tree(1 << 30); err == nil {
		t.Error("a process that does not exist has a usage")
	}
}

func TestParseStat(t *testing.T) {
	line := "4711 (a (b) c) S 17 4711 17 0 -1 4194304 500 0 0 0 11 22 33 44 20 0 1 0 100 1000000 77 18446744073709551615 0\n"
	pid, stat, err := parseStat([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	if pid != 4711 || stat != (procStat{parent: 17, user: 44, system: 66, pages: 77}) {
		t.Errorf("pid %d, %+v", pid, stat)
	}
	for _, bad := range []string{"", "4711 name S 1", "x (a) S 1 2 3", "1 (a) S 1 2", strings.Replace(line, " 11 ", " eleven ", 1)} {
		if _, _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestQuantileAndSpread(t *testing.T) {
	sorted := make([]uint32, 100)
	for i := range sorted {
		sorted[i] = uint32(i + 1)
	}
	for q, wanted := range map[float64]int64{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := quantile(sorted, q); got.Microseconds() != wanted {
			t.Errorf("quantile %v is %v, wanted %d µs", q, got, wanted)
		}
	}
	if quantile(nil, 0.5) != 0 {
		t.Error("the quantile of nothing is not 0")
	}
	for _, c := range []struct {
		values []float64
		wanted Spread
	}{
		{nil, Spread{}},
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{3, 1, 2}, Spread{2, 1, 3}},
		{[]float64{4, 1, 2, 3}, Spread{2.5, 1, 4}},
	} {
		if got := spread(c.values); got != c.wanted {
			t.Errorf("spread of %v is %v, wanted %v", c.values, got, c.wanted)
		}
	}
}

func TestRatiosArePairByPair(t *testing.T) {
	// The machine was busy in the second round, for both: the ratio does not notice, a ratio of means would.
	base := []Round{{CPUMicros: 10, PerSecond: 100}, {CPUMicros: 40, PerSecond: 20}, {CPUMicros: 10, PerSecond: 100}}
	other := []Round{{CPUMicros: 11, PerSecond: 90}, {CPUMicros: 44, PerSecond: 18}, {CPUMicros: 12, PerSecond: 90}}
	r := compare("b", other, "a", base)
	if r.CPU != (Spread{1.1, 1.1, 1.2}) || r.PerSecond != (Spread{0.9, 0.9, 0.9}) {
		t.Errorf("ratios %+v", r)
	}
}

func TestPlanRefusesWhatItCannotDo(t *testing.T) {
	for _, args := range [][]string{
		{"--peers", "lighttpd"}, {"--workloads", "nothing"}, {"--suites", "all"}, {"--rounds", "0"}, {"--time", "0s"}, {"--rate", "-1"}, {"fast"}, {"--peers", ","},
		{"--builds", "old"}, {"--builds", "old="}, {"--builds", "=bin"}, {"--builds", "rehydra=bin"}, {"--builds", "a=x,a=y"}, {"--suites", "builds"},
	} {
		if _, err := parsePlan(args); err == nil {
			t.Errorf("no error for %q", args)
		}
	}
	p, err := parsePlan([]string{"--workloads", "keepalive-16k,msm", "--peers", "nginx,rehydra"})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.jobs) != 2 || p.jobs[0].name != "keepalive-16k" || len(p.jobs[0].entries) != 2 || p.jobs[1].name != "msm" {
		t.Errorf("jobs %+v, wanted 16 KB with two peers, and msm", p.jobs)
	}
}

func TestPlanOfBuilds(t *testing.T) {
	p, err := parsePlan([]string{"--builds", "old=/tmp/old,older=/tmp/older", "--workloads", "keepalive-1k,session-changed,msm", "--rehydra", "/tmp/new"})
	if err != nil {
		t.Fatal(err)
	}
	var planned []string
	for _, j := range p.jobs {
		for _, e := range j.entries {
			r, ok := e.peer.(*rehydra)
			if s, whole := e.peer.(*stack); whole {
				r, ok = s.proxy.(*rehydra)
			}
			if !ok {
				r = &rehydra{}
			}
			planned = append(planned, j.name+" "+e.name+" "+r.binary)
		}
		for _, pair := range j.pairs() {
			planned = append(planned, pair[0]+" : "+pair[1])
		}
	}
	wanted := []string{
		"keepalive-1k rehydra /tmp/new", "keepalive-1k old /tmp/old", "keepalive-1k older /tmp/older", "rehydra : old", "rehydra : older",
		"session-changed rehydra-sync-2 /tmp/new", "session-changed old-sync-2 /tmp/old", "session-changed older-sync-2 /tmp/older",
		"rehydra-sync-2 : old-sync-2", "rehydra-sync-2 : older-sync-2",
		"msm rehydra /tmp/new", "msm haproxy+MSM ", "msm old /tmp/old", "msm older /tmp/older", "rehydra : haproxy+MSM", "rehydra : old", "rehydra : older",
	}
	if !slices.Equal(planned, wanted) {
		t.Errorf("planned %q, wanted %q", planned, wanted)
	}
	if p.name != "builds" {
		t.Errorf("the results would be called %q: those of the whole comparison stay", p.name)
	}
}

func TestPartsOfAWholeSystem(t *testing.T) {
	dir := t.TempDir()
	sleeper := func(name string) *process {
		p, err := startProcess(t.Context(), dir, name, "/bin/sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done; exec sleep 60")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.stop)
		if err := p.waitFor(t.Context(), "done its work", func() bool { return strings.Contains(p.tail(), "done") }); err != nil {
			t.Fatal(err)
		}
		return p
	}
	running := &Running{Process: sleeper("haproxy"), Others: []*process{sleeper("memcached0"), sleeper("memcached1"), sleeper("catalina")}, Whole: true}
	used, err := running.usage()
	if err != nil {
		t.Fatal(err)
	}
	var sum time.Duration
	for _, part := range []string{"proxy", "memcacheds", "Tomcats"} {
		if used.Parts[part] == 0 {
			t.Errorf("no time of %s in %v", part, used.Parts)
		}
		sum += used.Parts[part]
	}
	if len(used.Parts) != 3 || sum != used.CPU() {
		t.Errorf("parts %v, wanted three that are %v together", used.Parts, used.CPU())
	}
	round := newRound(LoadResult{Requests: 1000, Elapsed: time.Second}, Usage{}, used)
	report := &Report{Workloads: []WorkloadResult{{Name: "msm", Peers: []PeerResult{{Name: "whole", Rounds: []Round{round}}}}}}
	if text := string(report.markdown()); !strings.Contains(text, "| processor time, µs | Tomcats | memcacheds | proxy |") {
		t.Errorf("no table of parts in %s", text)
	}
	running.Whole = false
	if used, err = running.usage(); err != nil || used.Parts != nil {
		t.Errorf("parts %v of a proxy alone, error %v", used.Parts, err)
	}
}

// What is planned must fit the time that is promised, were no time lost between the rounds.
func TestPlansFitTheirTime(t *testing.T) {
	for _, c := range []struct {
		args   []string
		within time.Duration
	}{
		{nil, 18 * time.Minute},
		{[]string{"--quick"}, 150 * time.Second},
	} {
		p, err := parsePlan(c.args)
		if err != nil {
			t.Fatal(err)
		}
		var total time.Duration
		for _, j := range p.jobs {
			rounds := cmp.Or(j.rounds, p.rounds)
			for _, e := range j.entries {
				// A machine of two cores answers some 4,000 requests a second through Tomcats, and more otherwise.
				warmUps := 1
				if r := e.workload.Rehearsals; r > 0 {
					warmUps = r + rounds
				}
				total += time.Duration(warmUps*e.workload.WarmUp)*250*time.Microsecond + time.Duration(rounds)*(cmp.Or(j.time, p.round)+p.warm)
			}
		}
		if total > c.within {
			t.Errorf("%q measures for %v, wanted at most %v", c.args, total, c.within)
		}
	}
}

func TestRatiosOfAJob(t *testing.T) {
	names := func(subject string, names ...string) [][2]string {
		j := job{subject: subject}
		for _, name := range names {
			j.entries = append(j.entries, entry{name: name})
		}
		return j.pairs()
	}
	for _, c := range []struct{ got, wanted [][2]string }{
		{names("b", "a", "b", "c"), [][2]string{{"b", "a"}, {"b", "c"}}},
		{names("x", "a", "b", "c"), [][2]string{{"b", "a"}, {"c", "a"}}},
		{names("", "a"), nil},
		{names("b", "a", "b", forwarderName), [][2]string{{"b", "a"}, {forwarderName, "a"}, {"b", forwarderName}}},
	} {
		if !slices.Equal(c.got, c.wanted) {
			t.Errorf("pairs %v, wanted %v", c.got, c.wanted)
		}
	}
}

// sample is a report in which nginx has failed and haproxy has not.
func sample(t *testing.T) *Report {
	t.Helper()
	rounds := []Round{{Requests: 1000, PerSecond: 1234, CPUMicros: 50.5, P50Micros: 3000, P99Micros: 9000, P999Micros: 9500, Resident: 15 << 20}}
	log := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(log, []byte("one line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	j := peersJob(keepAlive1K(), []Peer{&haproxy{}, &rehydra{}, &nginx{}}, "rehydra")
	result, err := summariseJob(t.Context(), &j, []*contender{
		{entry: j.entries[0], rounds: rounds, requests: 1000, logged: 999, running: &Running{AccessLog: log}},
		{entry: j.entries[1], rounds: rounds, requests: 1000, logged: 1000, running: &Running{AccessLog: log}},
		{entry: j.entries[2], failed: errors.New("cannot find nginx")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Report{Machine: describeMachine(), Workloads: []WorkloadResult{*result}}
}

func TestReportHasEveryFigure(t *testing.T) {
	report := sample(t)
	text := string(report.markdown())
	for _, wanted := range []string{
		"| haproxy | 50.5 | 1234 | 3000 | 9000 | 9500 | 15.0 | 100.00 % |", "| nginx | **failed**: cannot find nginx |",
		"| **rehydra : haproxy** | 1.00 |", "| 1 KB keep-alive: CPU a request | haproxy | ≤ 0.95 | 1.00 | missed |",
		"| 1 KB keep-alive: requests a second | haproxy | ≥ 1 | 1.00 | met |", runtime.Version(), "| 1 KB, kept connections | 50.5 | 19802 |",
	} {
		if !strings.Contains(text, wanted) {
			t.Errorf("the table lacks %q:\n%s", wanted, text)
		}
	}
	if err := report.failures(); err == nil || !strings.Contains(err.Error(), "keepalive-1k: nginx failed") {
		t.Errorf("the run's end is %v, wanted that nginx failed", err)
	}
}

// A chart is XML, with a bar for each peer.
func TestReportIsDrawn(t *testing.T) {
	report, dir := sample(t), t.TempDir()
	if err := report.write(dir, "try"); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(dir, "try-cpu.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var texts []string
	for decoder := xml.NewDecoder(file); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if data, ok := token.(xml.CharData); ok {
			texts = append(texts, string(data))
		}
	}
	for _, wanted := range []string{"haproxy", "rehydra", "nginx", "50.5 µs", "failed"} {
		if !slices.Contains(texts, wanted) {
			t.Errorf("the chart lacks %q, it has %q", wanted, texts)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "try-memory.svg")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a chart of what was not measured: %v", err)
	}
}

func TestEveryTargetHasAWorkload(t *testing.T) {
	p, err := parsePlan(nil)
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	for _, j := range p.jobs {
		for _, e := range j.entries {
			known[j.name+" "+e.name] = true
			for _, n := range e.workload.Hold {
				known[fmt.Sprintf("%s-%d %s", j.name, n, e.name)] = true
			}
		}
	}
	for _, x := range targets() {
		if !known[x.workload+" "+x.name] || x.to != "" && !known[x.workload+" "+x.to] {
			t.Errorf("nothing measures %+v", x)
		}
	}
}
