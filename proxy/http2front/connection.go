package http2front

import (
	"net/http"
	"sync"
)

// connection is the requests of one HTTP/2 connection. x/net starts a goroutine for each and does not wait for them.
type connection struct {
	front  *Front
	answer func(*Stream)

	mu      sync.Mutex
	closed  bool
	running int
	quiet   chan struct{} // closed when the connection is and nothing runs
}

// ServeHTTP answers one request.
func (k *connection) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !k.begin() {
		return // the client cannot be told anything any more
	}
	defer k.end()
	if err := k.exchange(w, r); err != nil {
		panic(http.ErrAbortHandler) // RST_STREAM: what was sent must not look whole
	}
}

func (k *connection) begin() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	k.running++
	return true
}

func (k *connection) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.running--
	if k.closed && k.running == 0 {
		close(k.quiet)
	}
}

// finish waits for the requests that are still under way.
func (k *connection) finish() {
	k.mu.Lock()
	k.closed = true
	if k.running == 0 {
		close(k.quiet)
	}
	k.mu.Unlock()
	<-k.quiet
}
