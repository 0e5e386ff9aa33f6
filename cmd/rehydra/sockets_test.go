package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestBoundTo(t *testing.T) {
	for _, test := range []struct {
		at, address string
		want        bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.1:81", false},
		{"127.0.0.1:80", "127.0.0.2:80", false},
		{"127.0.0.1:80", ":80", false},
		{"0.0.0.0:80", "127.0.0.1:80", false},
		{"[::]:80", ":80", true},
		{"[::]:80", "0.0.0.0:80", true},
		{"0.0.0.0:80", "[::]:80", true},
		{"0.0.0.0:80", ":80", true},
		{"[::1]:80", "[::1]:80", true},
		{"[::1]:80", "localhost:80", false}, // a name is not resolved for this
		{"127.0.0.1:80", "127.0.0.1:0", false},
		{"127.0.0.1:80", "systemd:80", false},
	} {
		at, err := net.ResolveTCPAddr("tcp", test.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := boundTo(at, test.address); got != test.want {
			t.Errorf("a socket bound to %s is that of %q: %v, wanted %v", test.at, test.address, got, test.want)
		}
	}
	if boundTo(&net.UnixAddr{Name: "/run/socket", Net: "unix"}, ":80") {
		t.Error("a unix socket is that of :80")
	}
}

// Sockets that are in use are handed over, and no others.
func TestFilesAreThoseInUse(t *testing.T) {
	s := new(sockets)
	var open []net.Listener
	for _, address := range []string{"127.0.0.1:0", "127.0.0.1:0", "127.0.0.2:0"} {
		ln, err := s.Open("server", address)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		open = append(open, ln)
	}
	if err := open[1].Close(); err != nil {
		t.Fatal(err)
	}
	files, names, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(files)
	if want := []string{"server%3D127.0.0.1%3A0", "server%3D127.0.0.2%3A0"}; !slices.Equal(names, want) {
		t.Errorf("names %q, wanted %q", names, want)
	}
	for i, at := range []net.Addr{open[0].Addr(), open[2].Addr()} {
		ln, err := net.FileListener(files[i])
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if ln.Addr().String() != at.String() {
			t.Errorf("file %d is the socket of %s, wanted %s", i, ln.Addr(), at)
		}
	}
	if _, err := s.Open("server", "systemd:http"); err == nil || !strings.Contains(err.Error(), "FileDescriptorName=http") {
		t.Errorf("a socket that systemd did not pass: %v", err)
	}
}

func TestSuccessorEnv(t *testing.T) {
	got := successorEnv([]string{"A=1", "LISTEN_PID=7", "LISTEN_FDS=2", "LISTEN_FDNAMES=a:b", "WATCHDOG_PID=7", "WATCHDOG_USEC=5", handoverVariable + "={}", "NOTIFY_SOCKET=/n", "B"})
	if want := []string{"A=1", "WATCHDOG_USEC=5", "NOTIFY_SOCKET=/n", "B"}; !slices.Equal(got, want) {
		t.Errorf("%q, wanted %q", got, want)
	}
}

func TestPIDFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	if err := removePIDFile(path); err != nil {
		t.Errorf("a file that is not there: %v", err)
	}
	for range 2 { // over one that is there, too
		if err := writePIDFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != strconv.Itoa(os.Getpid())+"\n" {
		t.Errorf("it holds %q, %v", text, err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("%d files are there (%v), wanted one", len(left), err)
	}
	if err := removePIDFile(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it is not removed")
	}
	if err := os.WriteFile(path, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := removePIDFile(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error("the file of another process is removed")
	}
	if err := writePIDFile(filepath.Join(path, "below")); err == nil || !strings.Contains(err.Error(), "below") {
		t.Errorf("a folder that is none: %v", err)
	}
}
