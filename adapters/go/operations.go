package rehydra

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// methodReport is the method of an operation: a program without an adapter does not know it.
	methodReport = "REPORT"
	// maxInstall bounds what an install may bring, against a mistake rather than the proxy.
	maxInstall = 64 << 20
	// readPatience is how long a read waits for the end of a request that told the proxy to ask.
	readPatience = 2 * time.Second
)

// operate answers an operation of section 4. The application is not called.
func (m *Manager) operate(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(fieldAdapter, "1")
	if r.Method != methodReport {
		w.Header().Set("Allow", methodReport)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	ops, ids := r.Header[fieldOp], r.Header[fieldID]
	if len(ops) != 1 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if ops[0] == "list" {
		m.list(w)
		return
	}
	if len(ids) != 1 || !validID(ids[0]) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	switch ops[0] {
	case "read":
		m.read(w, r, ids[0])
	case "install":
		w.WriteHeader(m.install(r, ids[0]))
	case "drop":
		w.WriteHeader(m.drop(ids[0]))
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}

func (m *Manager) read(w http.ResponseWriter, r *http.Request, id string) {
	found, ended := m.lookUp(id)
	if found != nil {
		found.awaitPulls(r.Context(), readPatience)
		// That request may have ended the session, or given it another id.
		found, ended = m.lookUp(id)
	}
	if found == nil {
		w.WriteHeader(map[bool]int{true: http.StatusGone, false: http.StatusNotFound}[ended])
		return
	}
	h, state := found.read()
	if h.ended {
		w.WriteHeader(http.StatusGone)
		return
	}
	tag := `"` + h.version.String() + `"`
	w.Header().Set(fieldSession, m.formatReport(report{id: h.id, version: h.version, kind: stateSame}))
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(state)))
	_, _ = w.Write(state) // a proxy that is gone asks again
}

// lookUp returns the session of an id's base, and whether it ended here a short while ago.
func (m *Manager) lookUp(id string) (r *record, ended bool) {
	g := m.sessions
	g.lock()
	defer g.mu.Unlock()
	return g.find(baseOf(id)), g.hasEnded(baseOf(id))
}

// install puts a session in place and returns the status that says how it went.
func (m *Manager) install(r *http.Request, id string) int {
	have, v := parseHave(r.Header[fieldHave])
	if have != haveVersion {
		return http.StatusBadRequest
	}
	state, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxInstall))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return http.StatusRequestEntityTooLarge
		}
		return http.StatusBadRequest
	}
	created, vs, err := parseState(state)
	if err != nil {
		return http.StatusBadRequest
	}
	came := installedRecord(m.ownID(id), v, created, vs)
	g := m.sessions
	g.lock()
	defer g.mu.Unlock()
	if _, held, ok := g.local(came.base); ok && !v.newer(held) {
		return http.StatusConflict
	}
	g.put(came)
	return http.StatusNoContent
}

// drop forgets a session that lives elsewhere now, and returns the status that says how it went. It has not ended. One that requests run with
// stays: the proxy may have to ask for what they change.
func (m *Manager) drop(id string) int {
	g := m.sessions
	g.lock()
	defer g.mu.Unlock()
	r := g.find(baseOf(id))
	if r == nil {
		return http.StatusNoContent
	}
	if r.users > 0 {
		return http.StatusConflict
	}
	g.remove(r)
	return http.StatusNoContent
}

// list writes a line for each session: id, version, ttl, seconds idle.
func (m *Manager) list(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	out := bufio.NewWriter(w)
	for _, line := range m.lines() {
		_, _ = out.WriteString(line)
	}
	_ = out.Flush() // a proxy that is gone asks again
}

func (m *Manager) lines() []string {
	g := m.sessions
	g.lock()
	defer g.mu.Unlock()
	lines := make([]string, 0, g.order.Len())
	for e := g.order.Front(); e != nil; e = e.Next() {
		r := e.Value.(*record)
		h := r.head.Load()
		idle := int64(g.now().Sub(r.accessed) / time.Second)
		lines = append(lines, strings.Join([]string{h.id, h.version.String(),
			strconv.FormatInt(m.ttlSeconds(), 10), strconv.FormatInt(idle, 10)}, " ")+"\n")
	}
	return lines
}
