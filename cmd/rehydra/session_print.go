package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// print writes the sessions for people: a block each, with a table of the copies.
func (v *sessionsView) print(out io.Writer) error {
	var b strings.Builder
	for i := range v.Sessions {
		if i > 0 {
			b.WriteString("\n")
		}
		v.Sessions[i].print(&b, v.ID)
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

// sessionStates say what a session's state means.
func sessionMeaning(state string) string {
	switch state {
	case sessionStored:
		return "stored"
	case sessionEnded:
		return "ended: its mark is newer than every copy"
	case sessionUnstored:
		return "not stored: a backend has it, and there is no copy"
	case sessionUnknown:
		return "not known: a backend has it, and the nodes do not answer"
	case sessionUnreadable:
		return "unreadable: what the nodes hold is not believed"
	default:
		return state
	}
}

func (s *sessionView) print(b *strings.Builder, id string) {
	lines := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0) // writing to a Builder does not fail
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(lines, "%s\t%s\n", name, printable(value))
		}
	}
	line("session", id)
	line("pool", s.Pool)
	line("app", s.App)
	line("state", sessionMeaning(s.State))
	line("version", s.Version)
	if s.Owner != "" {
		line("owner", s.Owner+" ("+s.OwnerState+")")
	}
	if s.State != sessionEnded && s.State != sessionUnreadable {
		line("lives for", life(s.TTL)+" of inactivity")
	}
	line("this proxy", s.Here.String())
	_ = lines.Flush()
	b.WriteString("\n")

	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tHOLDS\tVERSION\tOWNER\tBYTES\tWRITTEN\tTTL\t")
	for i := range s.Copies {
		c := &s.Copies[i]
		row := []string{c.Node, c.State, "-", "-", "-", "-", "-", ""}
		if c.Size > 0 {
			row[4] = strconv.Itoa(c.Size)
		}
		if c.State == "present" || c.State == "tombstone" {
			row[3], row[5], row[6] = dash(c.Owner), ago(c.Age), life(c.TTL)
			row[2] = dash(c.Version)
		}
		if c.Newest {
			row[7] = "newest"
		}
		for j := range row {
			row[j] = printable(row[j])
		}
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	_ = table.Flush()
}

// String says what a proxy knows of a session by itself.
func (h *hereView) String() string {
	if h == nil {
		return "has not seen it"
	}
	var parts []string
	switch {
	case h.Backend != "" && h.SeenMS != nil:
		parts = append(parts, fmt.Sprintf("saw it at %s %s", h.Backend, ago(*h.SeenMS)))
	case h.SeenMS != nil:
		parts = append(parts, fmt.Sprintf("saw it %s, at a backend that was out since", ago(*h.SeenMS)))
	default:
		parts = append(parts, "has looked it up")
	}
	if h.Stored != "" {
		parts = append(parts, "knows version "+h.Stored+" in the store")
	}
	return strings.Join(parts, "; ")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// ago writes a number of milliseconds that have passed.
func ago(ms int64) string { return rounded(ms) + " ago" }

// life writes a time to live in milliseconds, where 0 is none.
func life(ms int64) string {
	if ms <= 0 {
		return "any time"
	}
	return rounded(ms)
}

func rounded(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	if d >= time.Second {
		d = d.Round(time.Second)
	}
	return d.String()
}

// printable replaces what a terminal could take for a command: names come from backends.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\ufffd'
		}
		return r
	}, s)
}
