package serve

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

const (
	large     = 200 << 20
	memoryFor = 24 << 20 // what the process may grow by; it holds 64 KiB of a body, and Go's collector is lazy
)

// TestLargeBodiesAreNotHeld sends 200 MB each way, with a length and in chunks, to a receiver that at first reads nothing: the process must let
// the sender wait, and not hold what it sends.
func TestLargeBodiesAreNotHeld(t *testing.T) {
	t.Parallel()
	for _, chunked := range []bool{false, true} {
		framing := fmt.Sprintf("Content-Length: %d", large)
		if chunked {
			framing = "Transfer-Encoding: chunked"
		}
		t.Run("up, "+framing, func(t *testing.T) { upload(t, framing, chunked) })
		t.Run("down, "+framing, func(t *testing.T) { download(t, framing, chunked) })
	}
}

// pour writes size bytes of a body and calls stalled once nothing more is taken.
func pour(conn interface {
	io.Writer
	SetWriteDeadline(time.Time) error
}, size int64, chunked bool, stalled func()) error {
	piece := make([]byte, 64<<10)
	wire := piece
	if chunked {
		wire = append(fmt.Appendf(nil, "%x\r\n", len(piece)), piece...)
		wire = append(wire, "\r\n"...)
	}
	waited := false
	for range size / int64(len(piece)) {
		for left := wire; len(left) > 0; {
			limit := 300 * time.Millisecond
			if waited {
				limit = patience
			}
			if err := conn.SetWriteDeadline(time.Now().Add(limit)); err != nil {
				return err
			}
			n, err := conn.Write(left)
			left = left[n:]
			if err != nil {
				if !isTimeout(err) || waited {
					return err
				}
				waited = true
				stalled()
			}
		}
	}
	if chunked {
		_, err := io.WriteString(conn, "0\r\n\r\n")
		return err
	}
	return nil
}

func upload(t *testing.T, framing string, chunked bool) {
	var got atomic.Int64
	stalled := make(chan struct{})
	b := start(t, "node1", func(q *call) {
		q.until(stalled)
		n, err := io.Copy(io.Discard, q.req.Body)
		got.Store(n)
		if err != nil {
			q.broken = true
			return
		}
		q.reply(200, "taken")
	})
	p := serve(t, settings{"pool.health": {`fall = 100`}}, b)
	before := p.status("VmHWM")
	c := dial(t, p.address)
	c.send("%s", head("POST", "/up", framing))
	waited := false
	if err := pour(c.conn, large, chunked, func() { waited = true; close(stalled) }); err != nil {
		t.Fatalf("the upload ended with %v", err)
	}
	c.answer("POST").want(t, 200, "taken")
	if got.Load() != large || !waited {
		t.Errorf("%d bytes arrived, wanted %d; the sender had to wait: %v, wanted true", got.Load(), large, waited)
	}
	wantBounded(t, p, before)
}

func download(t *testing.T, framing string, chunked bool) {
	stalled := make(chan struct{})
	b := start(t, "node1", func(q *call) {
		q.send("HTTP/1.1 200 OK\r\n%s\r\n\r\n", framing)
		if err := pour(q.conn, large, chunked, func() { close(stalled) }); err != nil {
			t.Errorf("the download ended with %v", err)
			q.broken = true
		}
	})
	p := serve(t, nil, b)
	before := p.status("VmHWM")
	c := dial(t, p.address)
	c.send("%s", head("GET", "/down"))
	select {
	case <-stalled:
	case <-time.After(patience):
		t.Fatal("the sender never had to wait: somebody holds the body")
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); n != large || err != nil {
		t.Errorf("%d bytes arrived (%v), wanted %d", n, err, large)
	}
	wantBounded(t, p, before)
}

// wantBounded wants that the process has never been much larger than before.
func wantBounded(t *testing.T, p *program, before int64) {
	t.Helper()
	grown := p.status("VmHWM") - before
	t.Logf("grew by %d KiB", grown>>10)
	if grown > memoryFor {
		t.Errorf("the process grew by %d bytes, wanted at most %d", grown, memoryFor)
	}
}
