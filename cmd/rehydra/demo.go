package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"rehydra/sessiontier"
)

const (
	demoListen = "127.0.0.1:8080"
	demoPool   = "demo"
	demoCookie = "JSESSIONID"
	// demoPatience is how long the demo's end waits for running requests.
	demoPatience = 5 * time.Second
)

// demoProxy is what the demo needs of a running proxy.
type demoProxy interface {
	Addresses() []string
	// Where tells what each store node holds of a session.
	Where(ctx context.Context, pool, app, base string) []sessiontier.Copy
	Shutdown(ctx context.Context) error
}

// openDemoProxy starts the proxy that `rehydra serve` would start with this configuration.
func openDemoProxy(*Config, zerolog.Logger) (demoProxy, error) {
	return nil, errors.New("cannot run the demo: the proxy is not linked in")
}

// newDemoCommand returns "rehydra demo".
func newDemoCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run proxy, store, three sample backends and a page to kill them from, in one process",
		Args:  cobra.NoArgs,
	}
	cmd.Flags().StringVar(&listen, "listen", demoListen, "address of the proxy; port 0 picks a free one")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		// Who did not ask for a port gets a free one when the usual one is taken.
		return runDemo(ctx, listen, !cmd.Flags().Changed("listen"), cmd.OutOrStdout())
	}
	return cmd
}

// runDemo runs the demo until ctx ends.
func runDemo(ctx context.Context, listen string, anyPort bool, out io.Writer) (err error) {
	log, err := OpenLog(LogConfig{Format: "console", Level: "info", Output: "stderr"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	listen, err = freeAddress(listen, anyPort, out)
	if err != nil {
		return err
	}
	d, err := startDemo(listen, openDemoProxy, log.Logger)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Rehydra's demo is running. Open %s\nCtrl-C ends it.\n", d.URL())
	<-ctx.Done()
	return d.Close()
}

// freeAddress returns listen if it can be listened on, else, with anyPort, the same host with port 0. The error says
// what to do instead.
func freeAddress(listen string, anyPort bool, out io.Writer) (string, error) {
	listener, err := net.Listen("tcp", listen)
	if err == nil {
		return listen, listener.Close()
	}
	if !anyPort || !errors.Is(err, syscall.EADDRINUSE) {
		return "", fmt.Errorf("cannot run the demo on %q: %w; another address goes with --listen, such as 127.0.0.1:0 for a free port",
			listen, err)
	}
	fmt.Fprintf(out, "%s is in use by another program; the demo takes a free port.\n", listen)
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("cannot run the demo on %q: %w", listen, err)
	}
	return net.JoinHostPort(host, "0"), nil
}

// demo is a running demo: backends, page and proxy.
type demo struct {
	backends []*sampleBackend
	control  *demoControl
	proxy    demoProxy     // set once opened is closed
	opened   chan struct{} // the page is up before the proxy is, and may be asked
}

// startDemo starts everything, or nothing and an error.
func startDemo(listen string, open func(*Config, zerolog.Logger) (demoProxy, error), log zerolog.Logger) (*demo, error) {
	d := &demo{opened: make(chan struct{})}
	if err := d.start(listen, open, log); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *demo) start(listen string, open func(*Config, zerolog.Logger) (demoProxy, error), log zerolog.Logger) error {
	token := rand.Text()
	for _, route := range []string{"node1", "node2", "node3"} {
		b := newSampleBackend(route, token)
		if err := b.Start(); err != nil {
			return err
		}
		d.backends = append(d.backends, b)
	}
	var err error
	if d.control, err = startDemoControl(d.backends, d.copies); err != nil {
		return err
	}
	config, warnings, err := ParseConfig("demo", d.configuration(listen, token))
	if err != nil {
		return err
	}
	for _, w := range warnings {
		log.Warn().Msg(w.String())
	}
	proxy, err := open(&config, log)
	if err != nil {
		return err
	}
	d.proxy = proxy
	close(d.opened)
	return nil
}

// copies tells where the copies of a session of the sample backends are.
func (d *demo) copies(ctx context.Context, base string) []sessiontier.Copy {
	select {
	case <-d.opened:
	case <-ctx.Done():
		return nil
	}
	return d.proxy.Where(ctx, demoPool, demoApp, base)
}

// URL returns the address of the page.
func (d *demo) URL() string { return "http://" + d.proxy.Addresses()[0] + "/" }

// Close ends the proxy first, which lets running requests finish, then what is behind it.
func (d *demo) Close() error {
	var err error
	if d.proxy != nil {
		ctx, cancel := context.WithTimeout(context.Background(), demoPatience)
		defer cancel()
		err = d.proxy.Shutdown(ctx)
	}
	if d.control != nil {
		d.control.Close()
	}
	for _, b := range d.backends {
		b.Kill()
	}
	return err
}

// configuration returns the demo's rehydra.toml. The page is a pool of its own whose requests are none of the session
// tier's business.
func (d *demo) configuration(listen, token string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
[server]
listen = [%q]

[admin]
listen = ""

[log]
access = false # the page asks every other second

[session]
cookie = %q
token  = %q
ignore = '^/$|^/favicon\.ico$|^/demo/(page|control)/'

[store]
kind   = "embedded"
copies = 1

[[pool]]
name = "page"

[[pool.backend]]
route = "page"
url   = "http://%s"

[[pool]]
name  = %q
match = ["/demo/api/*"]

[pool.health]
path     = "/demo/api/health"
interval = "500ms"
`, listen, demoCookie, token, d.control.Address(), demoPool)
	for _, backend := range d.backends {
		fmt.Fprintf(&b, "\n[[pool.backend]]\nroute = %q\nurl   = \"http://%s\"\n", backend.route, backend.State().Address)
	}
	return b.String()
}
