package upstream

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// checker checks one backend until its context ends.
type checker struct {
	backend *Backend
	client  *http.Client
	dialer  net.Dialer
}

func newChecker(b *Backend) *checker {
	c := &checker{backend: b, dialer: net.Dialer{Timeout: b.pool.cfg.Health.Timeout, KeepAlive: -1}}
	c.client = &http.Client{
		Transport: &http.Transport{
			DialContext:            c.dialer.DialContext,
			DisableKeepAlives:      true, // sends Connection: close
			DisableCompression:     true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
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
	if health.Path == "" {
		conn, err := c.dialer.DialContext(ctx, "tcp", c.backend.cfg.Address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.backend.cfg.Address+health.Path, nil)
	if err != nil {
		return fmt.Errorf("cannot make a check of %q: %w", health.Path, err)
	}
	req.Header.Set("User-Agent", "rehydra-health")
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("%s answered %d, wanted 2xx or 3xx", health.Path, resp.StatusCode)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("cannot read the answer of %s: %w", health.Path, err)
	}
	return nil
}
