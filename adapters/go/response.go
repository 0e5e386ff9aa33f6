package rehydra

import (
	"bufio"
	"errors"
	"maps"
	"net"
	"net/http"
)

// holdLimit is how many bytes of a body wait for the end of the handler, so that the head can tell what became of the
// session. It is what Tomcat's response buffer holds.
const holdLimit = 8 << 10

// responseWriter holds a response back until the handler returns, the body exceeds holdLimit or the handler flushes.
type responseWriter struct {
	inner    http.ResponseWriter
	request  *http.Request
	exchange *exchange

	status   int         // 0 until WriteHeader
	head     http.Header // as it was at WriteHeader; later changes do not count, as in net/http
	body     []byte
	out      bool // the head is out
	later    bool // trailer fields are due
	hijacked bool
}

var (
	_ http.Flusher  = (*responseWriter)(nil)
	_ http.Hijacker = (*responseWriter)(nil)
)

func newResponseWriter(w http.ResponseWriter, r *http.Request, e *exchange) *responseWriter {
	return &responseWriter{inner: w, request: r, exchange: e}
}

// Unwrap is for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.inner }

func (w *responseWriter) Header() http.Header { return w.inner.Header() }

func (w *responseWriter) WriteHeader(status int) {
	switch {
	case w.out || w.hijacked:
		w.inner.WriteHeader(status) // net/http logs who did it
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		w.inner.WriteHeader(status)
	case w.status == 0:
		w.status = status
		w.head = w.inner.Header().Clone()
		if status == http.StatusSwitchingProtocols {
			_ = w.commit(false) // no body waits that could fail
		}
	}
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if w.hijacked {
		return w.inner.Write(p)
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if !w.out {
		if len(w.body)+len(p) <= holdLimit {
			w.body = append(w.body, p...)
			return len(p), nil
		}
		if err := w.commit(false); err != nil {
			return 0, err
		}
	}
	return w.inner.Write(p)
}

// Flush sends what there is.
func (w *responseWriter) Flush() { _ = w.FlushError() } // the interface has no error: who wants it calls FlushError

// FlushError is for http.ResponseController.
func (w *responseWriter) FlushError() error {
	if !w.out && !w.hijacked {
		if w.status == 0 {
			w.WriteHeader(http.StatusOK)
		}
		if err := w.commit(false); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.inner).Flush()
}

// Hijack hands the connection over. What the new owner writes says nothing of the session; the proxy asks for it.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.out {
		return nil, nil, errors.New("cannot hijack a connection: the response has begun")
	}
	conn, rw, err := http.NewResponseController(w.inner).Hijack()
	w.hijacked = err == nil
	return conn, rw, err
}

// finish ends the response after the handler has returned.
func (w *responseWriter) finish() {
	switch {
	case w.hijacked:
	case !w.out:
		if w.status == 0 {
			w.WriteHeader(http.StatusOK)
		}
		_ = w.commit(true) // a client that is gone: net/http closes the connection
	case w.later:
		w.exchange.afterBody(w.inner.Header())
	}
}

// commit sends the head and what was held back.
func (w *responseWriter) commit(final bool) error {
	w.out = true
	live := w.inner.Header()
	since := maps.Clone(live) // the handler may have put trailer fields there since WriteHeader
	clear(live)
	maps.Copy(live, w.head)
	w.later = w.exchange.beforeHead(live, final, w.canTrail())
	w.inner.WriteHeader(w.status)
	for name, values := range since {
		if _, ok := live[name]; !ok {
			live[name] = values
		}
	}
	if len(w.body) == 0 {
		return nil
	}
	body := w.body
	w.body = nil
	_, err := w.inner.Write(body)
	return err
}

// canTrail reports whether net/http will send the body chunked, with trailer fields after it.
func (w *responseWriter) canTrail() bool {
	return w.request.ProtoAtLeast(1, 1) && w.request.Method != http.MethodHead && bodyAllowed(w.status) &&
		w.head.Get("Content-Length") == "" && w.head.Get("Transfer-Encoding") == ""
}

// bodyAllowed reports whether a response of that status has a body (RFC 9110, section 6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
