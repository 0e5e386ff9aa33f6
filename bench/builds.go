package main

import (
	"fmt"
	"strings"
)

// A build is another binary of Rehydra, to be measured by turns with the one at hand: what a change is worth.
type build struct{ name, binary string }

// parseBuilds reads "name=binary,name=binary".
func parseBuilds(text string) (builds []build, err error) {
	if text == "" {
		return nil, nil
	}
	seen := map[string]bool{"rehydra": true}
	for _, pair := range strings.Split(text, ",") {
		name, binary, ok := strings.Cut(pair, "=")
		if !ok || name == "" || binary == "" || seen[name] {
			return nil, fmt.Errorf("builds %q: wanted name=binary,name=binary with names of their own, other than rehydra, got %q", text, pair)
		}
		seen[name] = true
		builds = append(builds, build{name, binary})
	}
	return builds, nil
}

// buildsJobs let the binary at hand and the others do the same: plain requests without a session tier, those that have to do with sessions with two
// copies, and whole systems with one. What is divided is the one at hand by each of the others.
func (p *plan) buildsJobs() (jobs []job) {
	all := append([]build{{"", p.binary}}, p.builds...)
	add := func(w Workload, sample rehydra) {
		var peers []Peer
		for _, b := range all {
			peer := sample
			peer.build, peer.binary = b.name, b.binary
			peers = append(peers, &peer)
		}
		jobs = append(jobs, peersJob(w, peers, peers[0].Name()))
	}
	for _, w := range peerWorkloads() {
		if len(w.Hold) == 0 && !w.Tomcat {
			add(w, rehydra{})
		}
	}
	for _, w := range sessionWorkloads() {
		add(w, rehydra{copies: 2, save: "sync"})
	}
	whole := msmWorkload()
	j := job{name: whole.Name, about: whole.About, subject: "rehydra", time: max(p.round, wholeRound)}
	stacks := []*stack{{name: "rehydra", proxy: &rehydra{binary: p.binary, save: "sync"}, copies: 1}, msmStack()}
	for _, b := range p.builds {
		stacks = append(stacks, &stack{name: b.name, proxy: &rehydra{binary: b.binary, save: "sync"}, copies: 1})
	}
	for _, s := range stacks {
		j.entries = append(j.entries, entry{name: s.name, peer: s, workload: whole})
	}
	return append(jobs, j)
}
