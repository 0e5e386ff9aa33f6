//go:build soak

package faults

import (
	"context"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// insideVariable says to the test binary that it runs in a network namespace of its own.
const insideVariable = "REHYDRA_E2E_INSIDE_NETNS"

// TestPartition drops the packets to and from servers. It runs the test binary again, in a network of its own, so that the packet filter of this one
// stays as it is. That needs root, iproute2 and nftables.
func TestPartition(t *testing.T) {
	if os.Getenv(insideVariable) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPartition$", "-test.v", "-test.timeout=5m")
		cmd.Env = append(os.Environ(), insideVariable+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		out, err := cmd.CombinedOutput()
		t.Logf("in a network of its own:\n%s", out)
		if err != nil {
			t.Fatalf("in a network of its own (wanted: root, iproute2, nftables): %v", err)
		}
		return
	}
	run(t, "ip", "link", "set", "lo", "up")
	run(t, "nft", "add table inet cut; add chain inet cut input { type filter hook input priority 0; }")
	t.Run("memcached", cutMemcached)
	t.Run("backend", cutBackend)
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(context.Background(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// cut drops everything to and from a server; nobody is told. Each server has a host of its own.
func cut(t *testing.T, address string) {
	t.Helper()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	run(t, "nft", "add rule inet cut input ip daddr "+host+" drop; add rule inet cut input ip saddr "+host+" drop")
}

func mend(t *testing.T) {
	t.Helper()
	run(t, "nft", "flush chain inet cut input")
}

func cutMemcached(t *testing.T) {
	s := newShop(t, 2)
	us := s.login(60)
	during(us, func() {
		pause(200 * time.Millisecond)
		cut(t, s.nodes[0].Address())
		pause(pauseFor)
	}).check(t, "a memcached was cut off", false)
	s.backends[0].Kill(t)
	all(us, 32, (*user).increment).check(t, "then a backend was killed", false)
	s.backends[0].Restart(t)
	mend(t)
	during(us, func() { pause(2 * time.Second) }).check(t, "the memcached is back, with old copies", false)
	s.backends[1].Kill(t)
	all(us, 32, (*user).increment).check(t, "then the other backend was killed", false)
}

func cutBackend(t *testing.T) {
	s := newShop(t, 2)
	us := s.login(60)
	s.client.Timeout = 500 * time.Millisecond
	during(us, func() {
		pause(200 * time.Millisecond)
		cut(t, s.backends[0].Address())
		pause(pauseFor)
		mend(t)
		pause(2 * time.Second)
	}).check(t, "a backend was cut off and came back, with old sessions", true)
	s.client.Timeout = patience
	all(us, 32, (*user).read).check(t, "afterwards, all read", false)
	all(us, 32, (*user).increment).check(t, "afterwards, all increment", false)
	if n := s.proxy.Metric(t, "rehydra_session_restores_total"); n == 0 {
		t.Error("no session went elsewhere, wanted those of the backend that was cut off to")
	}
}
