package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rehydra/e2e/tomcat"
)

// warmTomcat are the flags of a Tomcat that is measured: those of a server, where the tests want one that starts quickly.
var warmTomcat = []string{"-Xmx256m", "-XX:TieredStopAtLevel=4", "-XX:+UseSerialGC"}

// startTomcats starts a Tomcat for each route and waits until all of them serve.
func startTomcats(ctx context.Context, dir string, routes []string, config tomcat.Config) (started []*process, backends []Backend, err error) {
	defer func() {
		if err != nil {
			stopAll(started)
		}
	}()
	config.JVM = append(slices.Clone(warmTomcat), config.JVM...)
	for _, route := range routes {
		backend := Backend{Route: route}
		var ports [2]int
		for i := range ports {
			address, err := freeAddress(ctx)
			if err != nil {
				return started, nil, err
			}
			_, port, _ := strings.Cut(address, ":")
			if ports[i], err = strconv.Atoi(port); err != nil {
				return started, nil, fmt.Errorf("cannot read port %q: %w", port, err)
			}
			backend.Address, backend.AJP = backend.AJP, address
		}
		place := filepath.Join(dir, "tomcat-"+route)
		if err := os.Mkdir(place, 0o755); err != nil {
			return started, nil, fmt.Errorf("cannot make a folder: %w", err)
		}
		config.Route = route
		program, args, err := tomcat.Command(ctx, config, place, ports[0], ports[1])
		if err != nil {
			return started, nil, err
		}
		p, err := startProcess(ctx, place, tomcatProcess, program, args...)
		if err != nil {
			return started, nil, err
		}
		started, backends = append(started, p), append(backends, backend)
	}
	for i, p := range started {
		page := "http://" + backends[i].Address + "/shop/session"
		if err := p.waitFor(ctx, "answered", func() bool { return serves(ctx, page) }); err != nil {
			return started, nil, err
		}
	}
	return started, backends, nil
}

// serves tells whether a page is there.
func serves(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	request.Close = true
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// A ownBackends is a peer that brings what stands behind it.
type ownBackends interface{ bringsBackends() }

// backendsFor starts backends of a kind, or returns those that are there.
func (s *site) backendsFor(ctx context.Context, spec backendSpec, peer Peer) ([]Backend, error) {
	if _, ok := peer.(ownBackends); ok {
		return nil, nil
	}
	if found, ok := s.backends[spec]; ok {
		return found, nil
	}
	var routes []string
	for i := range spec.count {
		// All of one length: none is another's end.
		routes = append(routes, fmt.Sprintf("node%0*d", len(strconv.Itoa(spec.count)), i+1))
	}
	var backends []Backend
	if spec.tomcat {
		started, tomcats, err := startTomcats(ctx, s.dir, routes, tomcat.Config{Release: tomcat.Tomcat9, NoAdapter: true})
		if err != nil {
			return nil, err
		}
		s.stops = append(s.stops, func() { stopAll(started) })
		backends = tomcats
	} else {
		// Two processes for two backends, as two Tomcats would be; more than that share one.
		groups := [][]string{routes}
		if len(routes) == 2 {
			groups = [][]string{routes[:1], routes[1:]}
		}
		for _, group := range groups {
			more, err := s.startBackends(ctx, spec, group)
			if err != nil {
				return nil, err
			}
			backends = append(backends, more...)
		}
	}
	s.backends[spec] = backends
	return backends, nil
}

// startBackends starts this program as the backends of some routes.
func (s *site) startBackends(ctx context.Context, spec backendSpec, routes []string) (backends []Backend, err error) {
	name := fmt.Sprintf("backend-%d-%d-%s-%s", spec.count, spec.body, spec.session, routes[0])
	p, err := startProcess(ctx, s.dir, name, s.self, "backend", "-routes", strings.Join(routes, ","),
		"-body", strconv.Itoa(spec.body), "-session", spec.session)
	if err != nil {
		return nil, err
	}
	s.stops = append(s.stops, p.stop)
	err = p.waitFor(ctx, "said where it listens", func() bool {
		text, readErr := os.ReadFile(p.logs)
		lines := strings.Split(string(text), "\n")
		if readErr != nil || len(lines) <= len(routes) {
			return false
		}
		backends = backends[:0]
		for i, route := range routes {
			words := strings.Fields(lines[i])
			if len(words) != 3 || words[0] != "listening" {
				return false
			}
			backends = append(backends, Backend{Route: route, Address: words[1], AJP: words[2]})
		}
		return true
	})
	return backends, err
}
