package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// maxCheckBody is how much of the answer to a check is read, in bytes. What is
// longer is judged by its status.
const maxCheckBody = 1 << 20

// checker checks one backend until its context ends.
type checker struct {
	backend *Backend
	dialer  net.Dialer
}

func newChecker(b *Backend) *checker {
	return &checker{backend: b, dialer: net.Dialer{Timeout: b.pool.cfg.Health.Timeout, KeepAlive: -1}}
}

// run checks at once, then an interval after each check, and at once when the backend went out. A check that stop cut short
// says nothing.
func (c *checker) run(stop context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-stop.Done():
			return
		case <-c.backend.wake:
			if c.backend.Up() {
				continue // it came back: the next check is due in its time
			}
		case <-timer.C:
		}
		epoch := c.backend.Epoch()
		err := c.check(stop)
		if stop.Err() != nil {
			return
		}
		c.backend.checked(epoch, err)
		timer.Reset(c.backend.pool.cfg.Health.Interval)
	}
}

// check returns nil when the backend is good: it accepts a connection and, where there is a path, answers it 2xx or 3xx. The
// answer is read to its end within the time-out, so that a backend that hangs in the middle is not good.
func (c *checker) check(stop context.Context) error {
	health := &c.backend.pool.cfg.Health
	ctx, cancel := context.WithTimeout(stop, health.Timeout)
	defer cancel()
	conn, err := c.dialer.DialContext(ctx, "tcp", c.backend.cfg.Address)
	if err != nil {
		return err
	}
	if config := c.backend.cfg.TLS; config != nil {
		over := tls.Client(conn, config)
		if err := over.HandshakeContext(ctx); err != nil {
			_ = conn.Close() // the first error is the one to tell
			return fmt.Errorf("cannot speak TLS: %w", err)
		}
		conn = over
	}
	if health.Path == "" {
		return conn.Close()
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // ends what waits below
	status, err := c.ask(conn, health.Path)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s was not answered to its end: %w", health.Path, ctx.Err())
	case err != nil:
		return fmt.Errorf("cannot read the answer of %s: %w", health.Path, err)
	case status < 200 || status > 399:
		return fmt.Errorf("%s answered %d, wanted 2xx or 3xx", health.Path, status)
	}
	return nil
}

// ask sends a check on conn and returns the status of the answer, which was read to its end.
func (c *checker) ask(conn net.Conn, path string) (status int, err error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod(fasthttp.MethodGet)
	req.Header.SetRequestURI(path)
	req.Header.SetHost(c.backend.cfg.Address)
	req.Header.SetUserAgent("rehydra-health")
	req.Header.SetConnectionClose()
	if _, err = conn.Write(req.Header.Header()); err != nil {
		return 0, err
	}
	err = resp.ReadLimitBody(bufio.NewReaderSize(conn, readBuffer), maxCheckBody)
	if errors.Is(err, fasthttp.ErrBodyTooLarge) {
		err = nil
	}
	if err != nil {
		err = Unquoted(err)
	}
	return resp.StatusCode(), err
}
