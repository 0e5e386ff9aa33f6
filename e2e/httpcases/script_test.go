package httpcases

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// op is one step of a script: bytes to send, or one of the named tokens.
type op struct {
	name  string // "send", "sleep", "close", "rst", "shutwr", "response", "headers", "silence", "continue", "echo"
	bytes string
	wait  time.Duration
	drip  bool // inside a repetition
}

var repetition = regexp.MustCompile(`^(\d+)\*`)

// parseScript reads the escape language. n is the number of the repetition of the case.
func parseScript(s string, n int) ([]op, error) {
	var p scriptParser
	p.n = n
	if err := p.parse(s, false); err != nil {
		return nil, fmt.Errorf("cannot read script %q: %w", s, err)
	}
	return p.ops, nil
}

type scriptParser struct {
	ops []op
	n   int
}

func (p *scriptParser) send(s string) {
	if len(p.ops) > 0 && p.ops[len(p.ops)-1].name == "send" {
		p.ops[len(p.ops)-1].bytes += s
		return
	}
	p.ops = append(p.ops, op{name: "send", bytes: s})
}

func (p *scriptParser) parse(s string, inside bool) error {
	for len(s) > 0 {
		i := strings.IndexAny(s, `\{`)
		if i < 0 {
			i = len(s)
		}
		if i > 0 {
			p.send(s[:i])
			s = s[i:]
			continue
		}
		if s[0] == '\\' {
			b, length, err := unescape(s)
			if err != nil {
				return err
			}
			p.send(b)
			s = s[length:]
			continue
		}
		end := matching(s)
		if end < 0 {
			return fmt.Errorf("an unmatched { at %q", s)
		}
		if err := p.token(s[1:end], inside); err != nil {
			return err
		}
		s = s[end+1:]
	}
	return nil
}

func (p *scriptParser) token(t string, inside bool) error {
	if m := repetition.FindString(t); m != "" {
		times, err := strconv.Atoi(m[:len(m)-1])
		if err != nil {
			return err
		}
		text := t[len(m):]
		if !strings.ContainsAny(text, `{`) {
			var one scriptParser
			if err := one.parse(text, true); err != nil {
				return err
			}
			p.send(strings.Repeat(one.ops[0].bytes, times))
			return nil
		}
		for range times {
			if err := p.parse(text, true); err != nil {
				return err
			}
		}
		return nil
	}
	name, ms, hasMS := strings.Cut(t, ":")
	o := op{name: name, drip: inside}
	switch name {
	case "n":
		p.send(strconv.Itoa(p.n))
		return nil
	case "sleep", "silence":
		n, err := strconv.Atoi(ms)
		if err != nil {
			return fmt.Errorf("token {%s}: %w", t, err)
		}
		o.wait = time.Duration(n) * time.Millisecond
	case "close", "rst", "shutwr", "response", "headers", "continue", "echo":
		if hasMS {
			return fmt.Errorf("token {%s} takes no number", t)
		}
	default:
		return fmt.Errorf("unknown token {%s}", t)
	}
	p.ops = append(p.ops, o)
	return nil
}

func unescape(s string) (b string, length int, err error) {
	if len(s) < 2 {
		return "", 0, fmt.Errorf("a lone backslash at the end")
	}
	switch s[1] {
	case 'r':
		return "\r", 2, nil
	case 'n':
		return "\n", 2, nil
	case 't':
		return "\t", 2, nil
	case '\\':
		return "\\", 2, nil
	case 'x':
		if len(s) >= 4 {
			v, err := strconv.ParseUint(s[2:4], 16, 8)
			return string([]byte{byte(v)}), 4, err
		}
	}
	return "", 0, fmt.Errorf("unknown escape at %q", s)
}

// matching returns the index of the } that closes the { at the start of s.
func matching(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// text is a script's bytes without its actions: for the texts in conditions.
func text(s string, n int) string {
	ops, err := parseScript(s, n)
	if err != nil {
		panic(err) // TestScripts reads them all first
	}
	var b strings.Builder
	for _, o := range ops {
		b.WriteString(o.bytes)
	}
	return b.String()
}

func TestParseScript(t *testing.T) {
	ops, err := parseScript(`A\r\n{2*b{sleep:5}}{n}\x0b{3*x\\}{close}`, 7)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(ops)
	want := fmt.Sprint([]op{{name: "send", bytes: "A\r\nb"}, {name: "sleep", wait: 5 * time.Millisecond, drip: true}, {name: "send", bytes: "b"},
		{name: "sleep", wait: 5 * time.Millisecond, drip: true}, {name: "send", bytes: "7\x0bx\\x\\x\\"}, {name: "close"}})
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, bad := range []string{`{nap:1}`, `{sleep:x}`, `{close`, `\q`, `{close:1}`} {
		if _, err := parseScript(bad, 0); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}
