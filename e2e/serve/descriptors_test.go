package serve

import (
	"context"
	"fmt"
	"os/exec"
	"testing"

	"rehydra/e2e/harness"
)

// startLimited is start with a limit on the open files of the process.
func (p *program) startLimited(files int, args ...string) {
	p.t.Helper()
	shell, err := exec.LookPath("sh")
	if err != nil {
		p.t.Fatal(err)
	}
	// The shell becomes rehydra: signals reach it.
	script := fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, files)
	p.run(exec.CommandContext(context.Background(), shell, append([]string{"-c", script, harness.Binary(p.t)}, args...)...))
}

// TestOutOfDescriptors: clients that take every descriptor do not end the process; once they are gone everybody is served again, and a client that is
// connected is served all the while, as long as the backend's connection is kept.
func TestOutOfDescriptors(t *testing.T) {
	t.Parallel()
	const files = 60
	b := start(t, "node1", nil)
	p := &program{t: t}
	p.configure(settings{"server": {`max_connections = 1000`}, "pool.health": {`interval = "1h"`}}.toml(b))
	p.startLimited(files, "serve", "--config", p.file)
	p.ready = p.waitEvent("ready")
	p.address = p.addresses()[0]
	connected := dial(t, p.address)
	connected.get("/before").want(t, 200, "node1")

	var many []*client
	for range files {
		c := dial(t, p.address) // the system connects it, whether it is accepted or not
		c.send("GET / HTTP/1.1\r\nHo")
		many = append(many, c)
	}
	p.waitEvent("cannot accept")
	if !p.running() {
		t.Fatal("it ended")
	}
	served := 0
	for range 20 {
		connected.send("%s", head("GET", "/during"))
		a, err := connected.receive("GET")
		if err != nil {
			break // it was idle for long enough to be closed for another's sake
		}
		if a.status == 200 {
			served++
		} else if a.status != 503 {
			t.Errorf("without descriptors: %d, wanted 200 or 503", a.status)
		}
	}
	for _, c := range many {
		c.conn.Close()
	}
	harness.Eventually(t, "their descriptors are free", func() bool { return p.number("rehydra_client_connections") <= 2 })
	for range 20 {
		p.get("/after").want(t, 200, "node1")
	}
	t.Logf("%d of 20 requests were served on a connection from before", served)
	if n := len(p.events("backend out")); n > 0 {
		t.Error("a lack of descriptors here put the backend out")
	}
}
