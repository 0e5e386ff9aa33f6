package serve

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// TestSlowClients lets slowhttptest attack with 1,000 connections, by headers, bodies and reads that never come to an end, and wants at least 99.9 % of what other
// clients ask for meanwhile answered.
func TestSlowClients(t *testing.T) {
	attacker, err := exec.LookPath("slowhttptest")
	if err != nil {
		t.Fatal("no slowhttptest: `make e2e` installs the package")
	}
	raiseDescriptors(t, 8000)
	large := strings.Repeat("x", 256<<10) // more than the buffers take of one that reads nothing
	b := start(t, "node1", func(q *call) {
		if q.path("/large") {
			q.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(large))
			if _, err := io.WriteString(q.conn, large); err != nil {
				q.close()
			}
			return
		}
		q.ok()
	})
	p := serve(t, settings{"server": {`max_connections = 3000`}, "log": {`access = false`}}, b)
	const connections = 1000
	for _, attack := range []struct {
		name string
		args []string
	}{
		{"headers", []string{"-H", "-t", "GET", "-u", "http://" + p.address + "/"}},
		{"bodies", []string{"-B", "-s", "8192", "-t", "POST", "-u", "http://" + p.address + "/"}},
		{"large bodies", []string{"-B", "-s", "1000000", "-t", "POST", "-u", "http://" + p.address + "/"}},
		{"reads", []string{"-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3", "-u", "http://" + p.address + "/large"}},
	} {
		t.Run(attack.name, func(t *testing.T) {
			for _, seconds := range []int{8, 16, 32} { // a machine that does much else has no time for a whole attack in eight
				all := []string{"-c", fmt.Sprint(connections), "-r", "500", "-i", "2", "-x", "24", "-p", "20", "-l", fmt.Sprint(seconds)}
				said, most := p.underAttack(t, attacker, append(all, attack.args...)...)
				if most >= connections/2 {
					return
				}
				t.Logf("%d connections were open at most in %d s, wanted an attack with %d:\n%s", most, seconds, connections, tail(said))
			}
			t.Error("there was never a whole attack")
		})
	}
}

// underAttack runs slowhttptest, and wants others to be answered meanwhile. It returns what was said, and the most connections that were open.
func (p *program) underAttack(t *testing.T, attacker string, args ...string) (said string, most int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), attacker, args...)
	var output harness.Output
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() { _ = cmd.Wait(); close(over) }() // it says how it went
	served, failed, most := p.others(over)
	if state := cmd.ProcessState; state.ExitCode() != 0 {
		t.Fatalf("slowhttptest ended with %v:\n%s", state, tail(output.String()))
	}
	share := 100 * float64(served) / float64(max(served+failed, 1))
	t.Logf("up to %d connections open, %d of %d requests of others answered (%.2f %%)", most, served, served+failed, share)
	if share < 99.9 {
		t.Errorf("%.2f %% were answered, wanted 99.9 %%", share)
	}
	return output.String(), most
}

// others asks as other clients do, on kept connections and on new ones, until over is closed. It returns how many were
// answered and how many were not, and the most connections that were open.
func (p *program) others(over <-chan struct{}) (served, failed int64, most int) {
	var good, bad atomic.Int64
	var running sync.WaitGroup
	for n := range 4 {
		transport := &http.Transport{DisableKeepAlives: n%2 == 0, DialContext: (&net.Dialer{Timeout: patience}).DialContext}
		client := &http.Client{Transport: transport, Timeout: patience}
		running.Go(func() {
			defer transport.CloseIdleConnections()
			for {
				select {
				case <-over:
					return
				case <-time.After(5 * time.Millisecond):
				}
				resp, err := client.Get("http://" + p.address + "/others")
				if err != nil || resp.StatusCode != 200 {
					bad.Add(1)
				} else {
					good.Add(1)
				}
				if err == nil {
					resp.Body.Close()
				}
			}
		})
	}
	for ended := false; !ended; {
		select {
		case <-over:
			ended = true
		case <-time.After(200 * time.Millisecond):
			var open int
			if _, err := fmt.Sscan(p.metric("rehydra_client_connections"), &open); err == nil {
				most = max(most, open)
			}
		}
	}
	running.Wait()
	return good.Load(), bad.Load(), most
}
