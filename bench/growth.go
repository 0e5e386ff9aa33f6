package main

import "fmt"

// growthJobs measure how the cost of a request grows with what a proxy has to look after.
func growthJobs(binary string) []job {
	backends := job{name: "growth-backends", rounds: 8, about: "GET of 1 KiB, 64 kept connections, each request to the next of so many backends"}
	for _, n := range []int{1, 10, 100, 1000} {
		w := keepAlive1K()
		w.Backends, w.Sessions, w.WarmUp = n, max(64, n), 2*n
		backends.entries = append(backends.entries, entry{name: fmt.Sprint(n), peer: &rehydra{binary: binary, checks: "10m"}, workload: w})
	}
	sessions := job{name: "growth-sessions", rounds: 8, about: "GET of 1 KiB that reads its session, 64 kept connections, session tier with a copy of each of so many live sessions"}
	for _, n := range []int{1, 100, 10000, 100000} {
		w := keepAlive1K()
		w.Session, w.Sessions, w.WarmUp = sessionSame, n, n+100 // the first request of each stores it
		sessions.entries = append(sessions.entries, entry{name: fmt.Sprint(n), peer: &rehydra{binary: binary, copies: 1, save: "sync"}, workload: w})
	}
	connections := job{name: "growth-connections", rounds: 8, about: "GET of 1 KiB, each request over the next of so many kept connections, at most 64 at a time"}
	for _, n := range []int{1, 10, 100, 1000, 10000} {
		w := keepAlive1K()
		w.Connections, w.Workers, w.WarmUp = n, 64, 2*n
		connections.entries = append(connections.entries, entry{name: fmt.Sprint(n), peer: &rehydra{binary: binary}, workload: w})
	}
	return []job{backends, sessions, connections}
}
