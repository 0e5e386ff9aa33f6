package http2front

import (
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// taker takes what is written, when it is let.
type taker struct {
	http.ResponseWriter
	let  chan struct{}
	cuts atomic.Int64
}

func (w *taker) Write(p []byte) (int, error) { <-w.let; return len(p), nil }

func (w *taker) SetWriteDeadline(time.Time) error { w.cuts.Add(1); return nil }

// TestLateStall: a timer that comes late cuts neither the answer whose piece was taken meanwhile nor the next piece of it.
func TestLateStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = time.Minute
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		w := &taker{let: make(chan struct{}, 1)}
		d := newDownload(w, &Stream{near: near}, limit)
		write := func() <-chan error {
			done := make(chan error, 1)
			go func() { done <- d.write([]byte("piece")) }()
			synctest.Wait()
			return done
		}
		w.let <- struct{}{}
		if err := <-write(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * limit)
		d.reset() // of the write that has ended
		next := write()
		time.Sleep(limit / 2)
		d.reset() // while the next one has half of its time left
		if w.cuts.Load() != 0 {
			t.Errorf("the answer was cut by a timer of a piece that was taken")
		}
		time.Sleep(limit) // and then it has none
		synctest.Wait()
		if n := w.cuts.Load(); n != 1 {
			t.Errorf("an answer that nobody takes was cut %d times, wanted once", n)
		}
		w.let <- struct{}{}
		<-next
	})
}
