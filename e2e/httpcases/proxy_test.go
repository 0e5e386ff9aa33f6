package httpcases

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// proxy is one running rehydra with one pool.
type proxy struct {
	cmd     *exec.Cmd
	address string
	logDone chan struct{}
	exited  chan struct{} // closed when the process has ended

	mu  sync.Mutex
	log []string // the last lines
}

// buildRehydra returns the binary to test: of the environment's REHYDRA_BIN, else built into dir.
func buildRehydra(dir string) (string, error) {
	if bin := os.Getenv("REHYDRA_BIN"); bin != "" {
		return bin, nil
	}
	bin := filepath.Join(dir, "rehydra")
	cmd := exec.Command("go", "build", "-o", bin, "rehydra/cmd/rehydra")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build rehydra: %w\n%s", err, out)
	}
	return bin, nil
}

const configHead = `[server]
listen = ["127.0.0.1:0"]
drain_timeout = "1s"

[admin]
listen = ""

[log]
access = true

[session]
token = "only-for-the-http-cases-0123456789"

[store]
kind = "embedded"

[[pool]]
name = "cases"

[pool.health]
path = ""
interval = "500ms"
timeout = "1s"
`

func configFor(nodes []*node) string {
	var b strings.Builder
	b.WriteString(configHead)
	for _, n := range nodes {
		fmt.Fprintf(&b, "\n[[pool.backend]]\nroute = %q\nurl = \"http://%s\"\n", n.name, n.listener.Addr())
	}
	return b.String()
}

// startProxy runs "rehydra serve" and waits until its log says that it is ready.
func startProxy(bin, dir string, nodes []*node) (*proxy, error) {
	config := filepath.Join(dir, "rehydra.toml")
	if err := os.WriteFile(config, []byte(configFor(nodes)), 0o600); err != nil {
		return nil, err
	}
	p := &proxy{cmd: exec.Command(bin, "serve", "--config", config), logDone: make(chan struct{}), exited: make(chan struct{})}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %q: %w", bin, err)
	}
	ready := make(chan string, 1)
	go p.follow(stderr, ready)
	go func() {
		<-p.logDone // Wait closes the pipe: read it whole first
		p.cmd.Wait()
		close(p.exited)
	}()
	select {
	case p.address = <-ready:
		return p, nil
	case <-p.exited:
		err = fmt.Errorf("cannot start the proxy: it ended\n%s", p.lastLog())
	case <-time.After(patience):
		err = fmt.Errorf("cannot start the proxy: no event \"ready\" in %v\n%s", patience, p.lastLog())
	}
	p.cmd.Process.Kill()
	<-p.exited
	return nil, err
}

var hostPort = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)

// follow reads the log and sends the address of the event "ready".
func (p *proxy) follow(r io.Reader, ready chan<- string) {
	defer close(p.logDone)
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			p.mu.Lock()
			p.log = append(p.log[max(0, len(p.log)-40):], clip(line))
			p.mu.Unlock()
		}
		var event struct{ Message string }
		if json.Unmarshal([]byte(line), &event) == nil && event.Message == "ready" {
			select {
			case ready <- hostPort.FindString(line):
			default:
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) lastLog() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "")
}

// stop ends the proxy as an operator would, and says if that did not go well.
func (p *proxy) stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-p.exited
		return fmt.Errorf("the proxy did not end within %v of SIGTERM", patience)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the proxy exited with %d\n%s", code, p.lastLog())
	}
	return nil
}

// residentMB is the resident memory of the proxy in MiB.
func (p *proxy) residentMB() (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	return pages * os.Getpagesize() >> 20, err
}

// answersProbe asks for a plain request until it is answered with 200: a backend that a case took out has to
// come back first.
func (p *proxy) answersProbe() error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if err = p.probe(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("afterwards a plain request is not answered: %w", err)
}

func (p *proxy) probe() error {
	conn, err := net.DialTimeout("tcp", p.address, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n", probeTarget); err != nil {
		return err
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	m, err := parseResponse(b, false, false, true)
	if err != nil {
		return err
	}
	if m == nil || !m.complete || m.status() != 200 {
		return fmt.Errorf("the answer is %q", clip(string(b)))
	}
	return nil
}
