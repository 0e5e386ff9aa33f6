package tomcat

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = 3 * time.Minute
	stopTimeout  = time.Minute
)

// Server is one Tomcat process. It keeps its ports and files when it is killed and started again.
type Server struct {
	Config
	Port    int // HTTP
	AJPPort int

	t    testing.TB
	base base
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// Start fetches, configures and starts a Tomcat on free loopback ports and waits until both applications answer. The test's
// end kills it. Whatever goes wrong fails the test, with the end of Tomcat's log.
func Start(t testing.TB, c Config) *Server {
	t.Helper()
	s := New(t, c)
	s.Start()
	return s
}

// New is Start without starting: the ports are chosen, the files are laid out.
func New(t testing.TB, c Config) *Server {
	t.Helper()
	ctx := t.Context()
	home, err := Fetch(ctx, c.Release)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Config: c, Port: freePort(t), AJPPort: freePort(t), t: t, base: base{dir: t.TempDir(), home: home}}
	if err := s.base.write(ctx, c, s.Port, s.AJPPort); err != nil {
		t.Fatal(err)
	}
	return s
}

// URL returns the address of a path: URL("/shop/session").
func (s *Server) URL(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", s.Port, path) }

// Start starts the process, for the first time or after Kill9 or Stop.
func (s *Server) Start() {
	s.t.Helper()
	s.Launch()
	s.WaitReady()
}

// Launch starts the process without waiting for its applications: several can start at the same time.
func (s *Server) Launch() {
	s.t.Helper()
	out, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Fatalf("cannot start Tomcat %q: %v", s.Release.Version, err)
	}
	cmd := exec.Command("java", s.arguments()...)
	cmd.Dir = s.base.dir
	cmd.Stdout, cmd.Stderr = out, out
	// A test binary that dies must not leave its Tomcats behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	out.Close()
	if err != nil {
		s.t.Fatalf("cannot start Tomcat %q: %v", s.Release.Version, err)
	}
	done := make(chan struct{})
	s.cmd, s.done = cmd, done
	go func() {
		defer close(done)
		// How it ended is in its log; that it ended is all that is asked for here.
		_ = cmd.Wait()
	}()
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
	})
}

func (s *Server) arguments() []string {
	lib := filepath.Join(s.base.home, "bin")
	args := []string{
		"-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xshare:auto",
		"-Djava.security.egd=file:/dev/./urandom",
		"-Djava.util.logging.config.file=" + s.base.path("conf", "logging.properties"),
		"-Djava.util.logging.manager=org.apache.juli.ClassLoaderLogManager",
		"-Dcatalina.home=" + s.base.home, "-Dcatalina.base=" + s.base.dir,
		"-Djava.io.tmpdir=" + s.base.path("temp"),
		"-De2e.node=" + s.Route, "-De2e.executed=" + s.ExecutedPath(),
	}
	// What catalina.sh opens, so that Tomcat's own search for leaks works.
	for _, opened := range []string{"java.base/java.lang", "java.base/java.io", "java.base/java.util", "java.base/java.util.concurrent", "java.rmi/sun.rmi.transport"} {
		args = append(args, "--add-opens="+opened+"=ALL-UNNAMED")
	}
	args = append(args, s.JVM...)
	classPath := filepath.Join(lib, "bootstrap.jar") + ":" + filepath.Join(lib, "tomcat-juli.jar")
	return append(args, "-cp", classPath, "org.apache.catalina.startup.Bootstrap", "start")
}

// WaitReady waits until both applications answer.
func (s *Server) WaitReady() {
	s.t.Helper()
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	deadline := time.Now().Add(startTimeout)
	for _, path := range []string{Form, Basic} {
		for !s.answers(client, path) {
			select {
			case <-s.done:
				s.t.Fatalf("Tomcat %q ended while starting:\n%s", s.Release.Version, s.logTail())
			case <-time.After(50 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				s.t.Fatalf("Tomcat %q does not answer %s after %v:\n%s", s.Release.Version, path, startTimeout, s.logTail())
			}
		}
	}
}

func (s *Server) answers(client *http.Client, path string) bool {
	response, err := client.Get(s.URL(path + "/static.txt"))
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// Kill9 ends the process without a chance to do anything, and waits until it is gone.
func (s *Server) Kill9() {
	s.t.Helper()
	s.signal(syscall.SIGKILL)
	<-s.done
}

// Stop shuts Tomcat down in order, as an operator does, and waits until it is gone.
func (s *Server) Stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(stopTimeout):
		s.t.Fatalf("Tomcat %q has not stopped after %v:\n%s", s.Release.Version, stopTimeout, s.logTail())
	}
}

// Pause stops the process where it stands: its sockets stay open and nobody answers. Resume lets it go on.
func (s *Server) Pause() { s.t.Helper(); s.signal(syscall.SIGSTOP) }

// Resume ends Pause.
func (s *Server) Resume() { s.t.Helper(); s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("cannot send %v to Tomcat %q: %v", sig, s.Route, err)
	}
}

// PID is the process's number.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// ExecutedPath is the file to which this node's application adds a line for each op=count that it ran.
func (s *Server) ExecutedPath() string { return s.base.path("executed") }

// Executed returns those lines.
func (s *Server) Executed() []string {
	s.t.Helper()
	data, err := os.ReadFile(s.ExecutedPath())
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Fields(string(data))
}

// freePort returns a port of 127.0.0.1 that is the test's to its end: a socket that does not listen stays bound to it, so that the system gives it to nobody
// who asks for any, and those who ask for this one, as Tomcat does, get it.
func freePort(t testing.TB) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("cannot make a socket: %v", err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var address syscall.Sockaddr
	if err == nil {
		address, err = syscall.Getsockname(fd)
	}
	at, ok := address.(*syscall.SockaddrInet4)
	if err != nil || !ok {
		t.Fatalf("cannot have a port: %v", err)
	}
	return at.Port
}
