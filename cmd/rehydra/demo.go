package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
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
	d, err := startDemo(listen, log.Logger)
	if errors.Is(err, syscall.EADDRINUSE) && anyPort {
		fmt.Fprintf(out, "%s is in use by another program; the demo takes a free port.\n", listen)
		d, err = startDemo(freePort(listen), log.Logger)
	}
	if err != nil {
		return fmt.Errorf("cannot run the demo on %q: %w (--listen takes another address, such as 127.0.0.1:0 for a free port)", listen, err)
	}
	fmt.Fprintf(out, "Rehydra's demo is running. Open %s\nCtrl-C ends it.\n", d.URL())
	<-ctx.Done()
	return d.Close()
}

// freePort returns the address with port 0.
func freePort(address string) string {
	return address[:strings.LastIndexByte(address, ':')+1] + "0"
}

// demo is a running demo: backends, page and proxy.
type demo struct {
	backends []*sampleBackend
	control  *demoControl
	proxy    *program
}

// startDemo starts everything, or nothing and an error, which wraps syscall.EADDRINUSE when listen is taken.
func startDemo(listen string, log zerolog.Logger) (*demo, error) {
	d := &demo{}
	if err := d.start(listen, log); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *demo) start(listen string, log zerolog.Logger) error {
	token := rand.Text()
	for _, route := range []string{"node1", "node2", "node3"} {
		b := newSampleBackend(route, token)
		d.backends = append(d.backends, b)
		if err := b.Start(); err != nil {
			return err
		}
	}
	var err error
	if d.control, err = listenDemoControl(d.backends, d.copies); err != nil {
		return err
	}
	config, warnings, err := ParseConfig("demo", d.configuration(listen, token))
	if err != nil {
		return err
	}
	for _, w := range warnings {
		log.Warn().Msg(w.String())
	}
	if d.proxy, err = openProgram(&config, log, new(sockets)); err != nil {
		return err
	}
	d.control.Start()
	d.proxy.Start()
	return nil
}

// copies tells where the copies of a session of the sample backends are.
func (d *demo) copies(ctx context.Context, base string) []sessiontier.Copy {
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
		_, err = d.proxy.Shutdown(ctx)
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
kind = "embedded"

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
