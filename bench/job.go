package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A job is some contenders that are measured in turns, round by round.
type job struct {
	name, about string
	entries     []entry
	// subject is whose figures are divided by each other's. Where it is "" or not there, all others are compared with the first.
	subject string
	rounds  int           // 0: as many as the plan says
	time    time.Duration // of a round; 0: as the plan says
}

// An entry is a peer and what it has to do.
type entry struct {
	name     string
	peer     Peer
	workload Workload
}

// pairs returns who is compared with whom.
func (j *job) pairs() (pairs [][2]string) {
	names := make([]string, 0, len(j.entries))
	for _, e := range j.entries {
		names = append(names, e.name)
	}
	known := slices.Contains(names, j.subject)
	for i, name := range names {
		switch {
		case known && name != j.subject:
			pairs = append(pairs, [2]string{j.subject, name})
			if forwards := slices.Contains(names, forwarderName); forwards && name != forwarderName {
				pairs = append(pairs, [2]string{forwarderName, name})
			}
		case !known && i > 0:
			pairs = append(pairs, [2]string{name, names[0]})
		}
	}
	return pairs
}

// peersJob lets peers do the same.
func peersJob(w Workload, peers []Peer, subject string) job {
	j := job{name: w.Name, about: w.About, subject: subject}
	for _, p := range peers {
		j.entries = append(j.entries, entry{name: p.Name(), peer: p, workload: w})
	}
	return j
}

// The suites, in the order in which they run.
const (
	suitePeers  = "peers"
	suiteTier   = "tier"
	suiteMSM    = "msm"
	suiteGrowth = "growth"
	suiteBuilds = "builds" // only where other builds are named
)

func suiteNames() []string { return []string{suitePeers, suiteTier, suiteMSM, suiteGrowth} }

// suiteJobs returns the jobs of a suite.
func (p *plan) suiteJobs(suite string) ([]job, error) {
	switch suite {
	case suitePeers:
		return p.peersJobs()
	case suiteTier:
		var jobs []job
		for _, w := range sessionWorkloads() {
			j := peersJob(w, []Peer{
				&rehydra{binary: p.binary}, &rehydra{binary: p.binary, copies: 1, save: "sync"},
				&rehydra{binary: p.binary, copies: 2, save: "sync"}, &rehydra{binary: p.binary, copies: 2, save: "async"},
			}, "")
			if w.Session == sessionPull {
				j.rounds = min(8, p.rounds)
			}
			jobs = append(jobs, j)
		}
		return jobs, nil
	case suiteMSM:
		return []job{p.msmJob()}, nil
	case suiteGrowth:
		return growthJobs(p.binary), nil
	case suiteBuilds:
		if len(p.builds) == 0 {
			return nil, errors.New("suite builds: no other build is named, wanted --builds name=binary")
		}
		return p.buildsJobs(), nil
	}
	return nil, fmt.Errorf("unknown suite %q: wanted one of %s", suite, strings.Join(suiteNames(), ", "))
}

// notForTLS are the peers that TLS would tell nothing new about: mod_jk has Apache's, nethttp Caddy's.
func notForTLS(name string) bool { return name == "mod_jk" || name == "nethttp" }

// notForTomcat are the peers whose share in a request to a Tomcat is of little interest.
func notForTomcat(name string) bool { return name == "caddy" || name == "nethttp" }

func (p *plan) peersJobs() ([]job, error) {
	var jobs []job
	for _, w := range peerWorkloads() {
		var peers []Peer
		for _, name := range p.peers {
			peer, err := newPeer(name, p.binary)
			if err != nil {
				return nil, err
			}
			if w.TLS && notForTLS(name) || w.Tomcat && notForTomcat(name) || name == forwarderName && !forwards(&w) {
				continue
			}
			peers = append(peers, peer)
		}
		if len(peers) == 0 {
			continue
		}
		if w.Rate > 0 && p.rate > 0 {
			w.Rate = p.rate
		}
		j := peersJob(w, peers, "rehydra")
		switch {
		case len(w.Hold) > 0:
			j.rounds = 1
		case w.Tomcat:
			j.rounds = min(8, p.rounds) // the proxies' share is small there
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// duration is how long a job may take at the most, in a machine that is not too slow to start what it needs.
func (j *job) duration(p *plan) time.Duration {
	rounds := p.rounds
	if j.rounds > 0 {
		rounds = j.rounds
	}
	total := 2 * startTime
	for _, e := range j.entries {
		if n := len(e.workload.Hold); n > 0 {
			total += time.Duration(n) * holdTime
			continue
		}
		if e.workload.WarmUp > 0 {
			total += time.Duration(1+e.workload.Rehearsals) * mostWarm
		}
		total += time.Duration(rounds) * (cmp.Or(j.time, p.round) + p.warm + 2*time.Second)
	}
	return total
}
