package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	rehydra "rehydra/adapters/go"
)

// What a visitor may leave in the demo's session.
const (
	maxNotes      = 20
	maxNoteLength = 200 // bytes
)

// demoAPI is the sample backends' application. It shows its session and lets the visitor change it.
type demoAPI struct {
	node string
}

func newDemoAPI(node string) http.Handler {
	a := &demoAPI{node: node}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /demo/api/health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /demo/api/session", a.withSession(func(*http.Request, *rehydra.Session) error { return nil }))
	mux.HandleFunc("POST /demo/api/count", a.withSession(count))
	mux.HandleFunc("POST /demo/api/notes", a.withSession(addNote))
	mux.HandleFunc("POST /demo/api/end", a.end)
	return mux
}

// demoSession is what the page shows. The id is shortened: a whole one is as good as a password.
type demoSession struct {
	Node    string   `json:"node"`
	ID      string   `json:"id"`
	Created int64    `json:"created"` // milliseconds since 1970 UTC
	Count   int      `json:"count"`
	Notes   []string `json:"notes"`
}

// errRefused is a visitor's mistake.
var errRefused = errors.New("a note of 1 to 200 bytes of text is wanted, and no more than 20 of them")

// withSession runs change on the request's session and answers with the session as it is then.
func (a *demoAPI) withSession(change func(*http.Request, *rehydra.Session) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, err := rehydra.FromRequest(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if err := change(r, s); err != nil {
			status := http.StatusInternalServerError
			if errors.Is(err, errRefused) {
				status = http.StatusBadRequest
			}
			http.Error(w, err.Error(), status)
			return
		}
		view := demoSession{Node: a.node, ID: shortID(s.ID()), Created: s.CreatedAt().UnixMilli(), Notes: []string{}}
		_, err1 := s.Get("count", &view.Count)
		_, err2 := s.Get("notes", &view.Notes)
		if err := errors.Join(err1, err2); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		writeJSON(w, view)
	}
}

func count(_ *http.Request, s *rehydra.Session) error {
	var n int
	if _, err := s.Get("count", &n); err != nil {
		return err
	}
	return s.Set("count", n+1)
}

func addNote(r *http.Request, s *rehydra.Session) error {
	var note string
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 2*maxNoteLength)).Decode(&note); err != nil {
		return errRefused
	}
	var notes []string
	if _, err := s.Get("notes", &notes); err != nil {
		return err
	}
	note = strings.TrimSpace(note)
	if note == "" || len(note) > maxNoteLength || !utf8.ValidString(note) || len(notes) >= maxNotes {
		return errRefused
	}
	return s.Set("notes", append(notes, note))
}

// end is the visitor's logout.
func (a *demoAPI) end(w http.ResponseWriter, r *http.Request) {
	if s, ok := rehydra.Existing(r); ok {
		s.Invalidate()
	}
	w.WriteHeader(http.StatusNoContent)
}

// shortID returns the first characters of the base id, and the route.
func shortID(id string) string {
	const shown = 8
	base, route, _ := strings.Cut(id, ".")
	if len(base) > shown {
		base = base[:shown] + "…"
	}
	return base + "." + route
}

// writeJSON answers with v. A client that is gone does not read it.
func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v)
}
