package proxy_test

import (
	"context"
	"net"
	"os"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rehydra/proxy"
	"rehydra/proxy/upstream"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		// fasthttp keeps the Date of our own answers up to date for as long as the process lives.
		if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1")); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

// newServer returns a server without a pool.
func newServer(t *testing.T) *proxy.Server {
	t.Helper()
	table, err := upstream.NewTable(nil, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	s := proxy.NewServer(proxy.Limits{}, &proxy.Routing{Table: table}, nil, zerolog.Nop())
	proxy.OwnLoops(t, s)
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ended)
	})
	return s
}

func TestListenOpensAllOrNone(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	s := newServer(t)
	if err := s.Listen([]string{address, taken.Addr().String()}); err == nil {
		t.Fatal("an address in use was opened")
	}
	if got := s.Addresses(); len(got) != 0 {
		t.Errorf("it holds %v", got)
	}
	if err := s.Listen([]string{address}); err != nil {
		t.Errorf("the first address stayed open: %v", err)
	}
}

// TestShutdownWithoutStart: what was opened and never started is closed, and calling it again does no harm.
func TestShutdownWithoutStart(t *testing.T) {
	s := newServer(t)
	if err := s.Listen([]string{"127.0.0.1:0", "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	addresses := s.Addresses()
	for range 2 {
		if cut := s.Shutdown(context.Background()); cut != 0 {
			t.Errorf("%d connections were cut", cut)
		}
	}
	for _, address := range addresses {
		var d net.Dialer
		if conn, err := d.DialContext(t.Context(), "tcp", address); err == nil {
			conn.Close()
			t.Errorf("%s still accepts", address)
		}
	}
}
