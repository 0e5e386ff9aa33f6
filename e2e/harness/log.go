package harness

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
)

// Event is one event of a log, as JSON gives it.
type Event map[string]any

// Text returns a field that is a string, "" if it is none.
func (e Event) Text(field string) string {
	s, _ := e[field].(string)
	return s
}

// Message matches events by the beginning of their message.
func Message(beginning string) func(Event) bool {
	return func(e Event) bool { return strings.HasPrefix(e.Text("message"), beginning) }
}

// logReader collects a process's log.
type logReader struct {
	mu     sync.Mutex
	events []Event
	other  []string // lines that are no JSON: a panic, a race
	ended  bool
}

func (l *logReader) read(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimSpace(line); line != "" {
			l.add(line)
		}
		if err != nil {
			l.mu.Lock()
			l.ended = true
			l.mu.Unlock()
			return
		}
	}
}

func (l *logReader) add(line string) {
	var e Event
	err := json.Unmarshal([]byte(line), &e)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.other = append(l.other, line)
		return
	}
	l.events = append(l.events, e)
}

// find returns the events that match.
func (l *logReader) find(match func(Event) bool) (found []Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if match(e) {
			found = append(found, e)
		}
	}
	return found
}

// text returns everything that was logged, for the message of a failed test.
func (l *logReader) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, e := range l.events {
		line, err := json.Marshal(e)
		if err != nil {
			continue // it came out of JSON
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	for _, line := range l.other {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// plain fails the test when the process wrote what is no event, as a panic or a data race does.
func (l *logReader) plain(t testing.TB) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.other) > 0 {
		t.Errorf("rehydra wrote what is no event:\n%s", strings.Join(l.other, "\n"))
	}
}
