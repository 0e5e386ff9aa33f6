// Package goapp is the conformance test's application for net/http, over the sessions of adapters/go. It is the
// reference for those in other languages; README.md of the parent directory says what each operation does.
package goapp

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	rehydra "rehydra/adapters/go"
)

// earlyBytes is more than any container holds back before it sends the head.
const earlyBytes = 32 << 10

// App is the application. The zero value is ready; it goes behind the adapter's middleware.
type App struct {
	calls atomic.Int64
}

// ServeHTTP does what the parameter op asks for, and prints the session.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	calls := a.calls.Add(1)
	body, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, "cannot read the body: "+err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := operate(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if r.FormValue("op") == "fixed" {
		return // its body is complete
	}
	if status, err := strconv.Atoi(r.FormValue("status")); err == nil {
		if status/100 == 3 {
			w.Header().Set("Location", "/")
		}
		w.WriteHeader(status)
		if status == http.StatusNoContent {
			return
		}
	}
	printPage(w, r, calls, body)
}

func operate(w http.ResponseWriter, r *http.Request) error {
	name, value := r.FormValue("k"), r.FormValue("v")
	switch op := r.FormValue("op"); op {
	case "", "show":
		return nil
	case "late", "late-invalidate":
		if _, err := io.WriteString(w, strings.Repeat("\n", earlyBytes)); err != nil {
			return err
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
		if op == "late" && name == "" {
			return nil
		}
	case "fixed":
		w.Header().Set("Content-Length", strconv.Itoa(earlyBytes))
		if _, err := io.WriteString(w, strings.Repeat("\n", earlyBytes)); err != nil {
			return err
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
		if ms, err := strconv.Atoi(r.FormValue("ms")); err == nil {
			pause(r, time.Duration(ms)*time.Millisecond)
		}
	}
	s, err := rehydra.FromRequest(r)
	if err != nil {
		return err
	}
	return change(r, s, name, value)
}

func change(r *http.Request, s *rehydra.Session, name, value string) error {
	switch op := r.FormValue("op"); op {
	case "set", "late", "fixed":
		return s.Set(name, value)
	case "append":
		var list []string
		if _, err := s.Get(name, &list); err != nil {
			return err
		}
		return s.Set(name, append(list, value))
	case "big":
		n, err := strconv.Atoi(r.FormValue("n"))
		if err != nil {
			return err
		}
		return s.Set(name, strings.Repeat("x", n))
	case "delete":
		s.Delete(name)
		return nil
	case "renew":
		return s.Renew()
	case "invalidate", "late-invalidate":
		s.Invalidate()
		return nil
	case "start-over":
		s.Invalidate()
		s, err := rehydra.FromRequest(r)
		if err != nil {
			return err
		}
		return s.Set(name, value)
	default:
		return fmt.Errorf("op %q is unknown", op)
	}
}

// pause waits, but not for a client that is gone.
func pause(r *http.Request, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

// printPage writes the lines that the checks read. A client that is gone does not read them.
func printPage(w io.Writer, r *http.Request, calls, body int64) {
	s, ok := rehydra.Existing(r)
	if !ok {
		fmt.Fprintf(w, "session none\ncalls %d\nbody %d\n", calls, body)
		return
	}
	fmt.Fprintf(w, "session %s\ncreated %d\n", s.ID(), s.CreatedAt().UnixMilli())
	for _, name := range s.Names() {
		var value any
		if _, err := s.Get(name, &value); err != nil {
			continue // ended meanwhile
		}
		text := fmt.Sprint(value)
		if list, ok := value.([]any); ok {
			text = strings.Join(strings.Fields(strings.Trim(fmt.Sprint(list), "[]")), ",")
		}
		if len(text) > 200 {
			fmt.Fprintf(w, "size %s %d\n", name, len(text))
		} else {
			fmt.Fprintf(w, "value %s %s\n", name, text)
		}
	}
	fmt.Fprintf(w, "calls %d\nbody %d\n", calls, body)
}
