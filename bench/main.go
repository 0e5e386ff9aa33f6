// Command bench measures Rehydra side by side with its peers, in one run and on one machine.
//
// Both proxies stand ready at the same time, before the same backends and with the same work to do (sticky routing, an
// access log, the usual forwarded fields). Rounds alternate between them, so that whatever else happens on the machine
// happens to both; what is reported is the median of the ratios of neighbouring rounds. README.md says how to read it.
//
// The load generator and the backends are processes of their own (this program again, with a subcommand), so that what
// the kernel accounts to a proxy is the proxy's alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run dispatches to a helper process's part, or runs the benchmark.
func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "backend":
			return runBackend(ctx, args[1:], out)
		case "load":
			return runLoad(ctx, args[1:], out)
		}
	}
	plan, err := parsePlan(args)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, plan.limit())
	defer cancel()
	report, err := plan.measure(ctx, out)
	if err != nil {
		return err
	}
	return report.write(plan.out, plan.name, out)
}

// A plan is what one run measures, and for how long.
type plan struct {
	peers     []Peer // the first is the one that the others are compared with
	workloads []Workload
	rounds    int           // pairs of rounds
	round     time.Duration // measured time of one round
	warm      time.Duration // load before the measured time of each round
	out       string        // folder of the results
	name      string        // name of the result files
}

func parsePlan(args []string) (*plan, error) {
	p := &plan{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "three short rounds, to see that it works; the figures are rough")
	flags.IntVar(&p.rounds, "rounds", 9, "rounds of each peer")
	flags.DurationVar(&p.round, "time", 5*time.Second, "measured time of a round")
	flags.DurationVar(&p.warm, "warm", time.Second, "load before the measured time of each round")
	flags.StringVar(&p.out, "out", "bench/results", "folder of the results")
	binary := flags.String("rehydra", "bin/rehydra", "the binary to measure")
	peers := flags.String("peers", "haproxy,rehydra", "peers to measure; the first is what the others are compared with")
	only := flags.String("workloads", "", "workloads to run, by name; empty: all")
	tier := flags.Bool("tier", false, "measure what the session tier costs, against the same binary without it")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q: wanted flags only", flags.Arg(0))
	}
	p.name = "latest"
	if *quick {
		p.name, p.rounds, p.round, p.warm = "quick", 3, 2*time.Second, 500*time.Millisecond
	}
	if p.rounds < 1 || p.round <= 0 || p.warm < 0 {
		return nil, fmt.Errorf("rounds %d of %v after %v: wanted at least one round of some length", p.rounds, p.round, p.warm)
	}
	all := []Workload{keepAlive1K()}
	if *tier {
		p.name, *peers, all = "tier-"+p.name, "rehydra,rehydra-sync-1,rehydra-sync-2,rehydra-async-2", sessionWorkloads()
	}
	var err error
	if p.peers, err = selectPeers(*peers, *binary); err != nil {
		return nil, err
	}
	p.workloads, err = selectWorkloads(all, *only)
	return p, err
}

// limit bounds the whole run: nothing that hangs may keep a machine busy.
func (p *plan) limit() time.Duration {
	one := p.round + p.warm + 2*time.Second
	return time.Minute + time.Duration(len(p.workloads)*len(p.peers)*p.rounds)*one
}

// selectPeers returns the peers of a comma-separated list. A peer may be named twice, which measures the harness itself.
func selectPeers(list, rehydraBinary string) ([]Peer, error) {
	var peers []Peer
	for name := range strings.SplitSeq(list, ",") {
		switch name {
		case "haproxy":
			peers = append(peers, &haproxy{})
		case "rehydra":
			peers = append(peers, &rehydra{binary: rehydraBinary})
		case "rehydra-sync-1":
			peers = append(peers, &rehydra{binary: rehydraBinary, copies: 1, save: "sync"})
		case "rehydra-sync-2":
			peers = append(peers, &rehydra{binary: rehydraBinary, copies: 2, save: "sync"})
		case "rehydra-async-2":
			peers = append(peers, &rehydra{binary: rehydraBinary, copies: 2, save: "async"})
		default:
			return nil, fmt.Errorf("unknown peer %q: wanted haproxy, rehydra, rehydra-sync-1, rehydra-sync-2 or rehydra-async-2", name)
		}
	}
	return peers, nil
}

func selectWorkloads(all []Workload, list string) ([]Workload, error) {
	if list == "" {
		return all, nil
	}
	var chosen []Workload
	for name := range strings.SplitSeq(list, ",") {
		found := false
		for _, w := range all {
			if w.Name == name {
				chosen, found = append(chosen, w), true
			}
		}
		if !found {
			return nil, fmt.Errorf("unknown workload %q: wanted one of %s", name, workloadNames(all))
		}
	}
	return chosen, nil
}

func workloadNames(all []Workload) string {
	names := make([]string, 0, len(all))
	for _, w := range all {
		names = append(names, w.Name)
	}
	return strings.Join(names, ", ")
}
