package main

import (
	"cmp"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A plan is what one run measures, and for how long.
type plan struct {
	jobs   []job
	peers  []string      // of the suite that compares
	rounds int           // of each contender
	round  time.Duration // measured time of one round
	warm   time.Duration // load before the measured time of each round
	rate   float64       // requests a second of the constant rate; 0: what the slowest of the fast bears
	binary string        // of Rehydra
	builds []build       // others of Rehydra, to be compared with it
	out    string        // folder of the results
	name   string        // name of the result files
}

// quickWorkloads are the essentials, in three minutes.
const (
	quickWorkloads = "keepalive-1k,rate-1k,keepalive-16k,keepalive-1m,connection-1k,idle,session-changed"
	quickPeers     = "haproxy,rehydra,nginx,mod_jk"
)

func parsePlan(args []string) (*plan, error) {
	p := &plan{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "the essentials in three minutes; the figures are rough")
	flags.IntVar(&p.rounds, "rounds", 13, "rounds of each peer")
	flags.DurationVar(&p.round, "time", 600*time.Millisecond, "measured time of a round")
	flags.DurationVar(&p.warm, "warm", 300*time.Millisecond, "load before the measured time of each round")
	flags.Float64Var(&p.rate, "rate", 0, "requests a second of rate-1k; 0: 15,000, or six tenths of what the slowest of haproxy, nginx and rehydra reach")
	flags.StringVar(&p.out, "out", "bench/results", "folder of the results")
	flags.StringVar(&p.name, "name", "", "name of the result files; empty: latest, or quick")
	flags.StringVar(&p.binary, "rehydra", "bin/rehydra", "the binary to measure")
	peers := flags.String("peers", "", "peers to compare with one another; empty: all")
	suites := flags.String("suites", "", "what to measure: "+strings.Join(suiteNames(), ", ")+"; empty: all")
	builds := flags.String("builds", "", "other builds of Rehydra, name=binary,name=binary: they alone are compared with --rehydra, by turns, as suite "+suiteBuilds)
	only := flags.String("workloads", "", "workloads to run, by name; empty: all")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q: wanted flags only", flags.Arg(0))
	}
	if *quick {
		p.applyQuick(flags, suites, only, peers)
	}
	var err error
	if p.builds, err = parseBuilds(*builds); err != nil {
		return nil, err
	}
	if len(p.builds) > 0 {
		*suites, p.name = cmp.Or(*suites, suiteBuilds), cmp.Or(p.name, suiteBuilds)
	}
	p.name = cmp.Or(p.name, "latest")
	if p.rounds < 1 || p.round <= 0 || p.warm < 0 || p.rate < 0 {
		return nil, fmt.Errorf("rounds %d of %v after %v, rate %v: wanted at least one round of some length", p.rounds, p.round, p.warm, p.rate)
	}
	p.peers = peerNames()
	if *peers != "" {
		p.peers = strings.Split(*peers, ",")
	}
	return p, p.selectJobs(*suites, *only)
}

// applyQuick shortens what was not said on the command line.
func (p *plan) applyQuick(flags *flag.FlagSet, suites, only, peers *string) {
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["rounds"] {
		p.rounds = 3
	}
	if !given["time"] {
		p.round = 1200 * time.Millisecond
	}
	if !given["warm"] {
		p.warm = 300 * time.Millisecond
	}
	if !given["suites"] && !given["workloads"] {
		*suites, *only = suitePeers+","+suiteTier, quickWorkloads
	}
	*peers = cmp.Or(*peers, quickPeers)
	p.name = cmp.Or(p.name, "quick")
}

// selectJobs finds the jobs of the suites that are named in workloads.
func (p *plan) selectJobs(suites, workloads string) error {
	chosen := suiteNames()
	if suites != "" {
		chosen = strings.Split(suites, ",")
	}
	var all []job
	for _, suite := range chosen {
		jobs, err := p.suiteJobs(suite)
		if err != nil {
			return err
		}
		all = append(all, jobs...)
	}
	if workloads == "" {
		p.jobs = all
		return nil
	}
	var names []string
	for _, j := range all {
		names = append(names, j.name)
	}
	wanted := strings.Split(workloads, ",")
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			return fmt.Errorf("unknown workload %q: wanted one of %s", name, strings.Join(names, ", "))
		}
	}
	for _, j := range all {
		if slices.Contains(wanted, j.name) {
			p.jobs = append(p.jobs, j)
		}
	}
	return nil
}

// limit bounds the whole run: nothing that hangs may keep a machine busy.
func (p *plan) limit() time.Duration {
	total := time.Minute
	for i := range p.jobs {
		total += p.jobs[i].duration(p)
	}
	return total
}
