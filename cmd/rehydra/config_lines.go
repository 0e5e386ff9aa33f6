package main

import (
	"strconv"
	"strings"
)

// lineIndex maps the path of each key and table of a TOML document to its line, from 1. A path is the dotted key with
// the position of each array's element in brackets: "pool[1].backend[0].url". The TOML library knows the line of a
// syntax error only; this knows it for a value that is well-formed and wrong.
type lineIndex map[string]int

// has reports whether the document holds the key or table.
func (x lineIndex) has(path string) bool { return x[path] > 0 }

// line returns the line of path or, where the document does not hold it, of the nearest table around it; 1 without any.
func (x lineIndex) line(path string) int {
	for path != "" {
		if line := x[path]; line > 0 {
			return line
		}
		path = parentPath(path)
	}
	return 1
}

// parentPath takes the last key, or the last position in brackets, off a path.
func parentPath(path string) string {
	if strings.HasSuffix(path, "]") {
		if i := strings.LastIndexByte(path, '['); i >= 0 {
			return path[:i]
		}
	}
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i]
	}
	return ""
}

// withoutPositions returns the key that a person would write: "pool.backend.url".
func withoutPositions(path string) string {
	var b strings.Builder
	depth := 0
	for _, c := range path {
		switch {
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		case depth == 0:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// indexLines builds the index of a document that the TOML library has accepted. Of one that it would not accept it
// makes something, without failing. Keys within an inline table share the line of the key that holds it.
func indexLines(document string) lineIndex {
	s := &lineScanner{text: document, line: 1, index: lineIndex{}, elements: map[string]int{}}
	for s.skipBlank(true); s.at < len(s.text); s.skipBlank(true) {
		if s.text[s.at] == '[' {
			s.header()
		} else {
			s.pair()
		}
	}
	return s.index
}

// lineScanner walks over a document once.
type lineScanner struct {
	text     string
	at, line int
	table    string         // path of the table that keys belong to
	elements map[string]int // elements so far of each array of tables, by its path
	index    lineIndex
}

// peek returns the byte n places ahead, 0 after the end.
func (s *lineScanner) peek(n int) byte {
	if s.at+n < len(s.text) {
		return s.text[s.at+n]
	}
	return 0
}

// step moves n bytes on and counts the lines.
func (s *lineScanner) step(n int) {
	end := min(s.at+n, len(s.text))
	s.line += strings.Count(s.text[s.at:end], "\n")
	s.at = end
}

// skipBlank moves over blanks and, with lines, over line ends and comments.
func (s *lineScanner) skipBlank(lines bool) {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == ' ' || c == '\t' || c == '\r' || (c == '\n' && lines):
			s.step(1)
		case c == '#' && lines:
			s.skipLine()
		default:
			return
		}
	}
}

// skipLine moves to the end of the line.
func (s *lineScanner) skipLine() {
	if i := strings.IndexByte(s.text[s.at:], '\n'); i >= 0 {
		s.step(i)
	} else {
		s.step(len(s.text))
	}
}

// header reads "[table]" or "[[array of tables]]".
func (s *lineScanner) header() {
	line, isArray := s.line, s.peek(1) == '['
	s.step(1)
	if isArray {
		s.step(1)
	}
	path := s.key("")
	if isArray {
		s.index.add(path, line)
		s.elements[path]++
	}
	s.table = s.element(path)
	s.index.add(s.table, line)
	s.skipLine()
}

// pair reads "key = value".
func (s *lineScanner) pair() {
	line, before := s.line, s.at
	s.index.add(s.key(s.table), line)
	if s.peek(0) == '=' {
		s.step(1)
		s.value()
	} else if s.at == before {
		s.step(1) // not TOML: go on somehow
	}
}

// key reads a dotted key and returns its path under table.
func (s *lineScanner) key(table string) string {
	for path := table; ; {
		s.skipBlank(false)
		path = joinPath(s.element(path), s.simpleKey())
		s.skipBlank(false)
		if s.peek(0) != '.' {
			return path
		}
		s.step(1)
	}
}

// simpleKey reads one part of a key, bare or quoted.
func (s *lineScanner) simpleKey() string {
	start := s.at
	if c := s.peek(0); c == '"' || c == '\'' {
		s.quoted()
		text := s.text[start:s.at]
		if unquoted, err := strconv.Unquote(text); err == nil {
			return unquoted
		}
		return strings.Trim(text, `'"`)
	}
	for s.at < len(s.text) && strings.IndexByte(" \t\r\n.=]#", s.text[s.at]) < 0 {
		s.step(1)
	}
	return s.text[start:s.at]
}

// element returns the path of the last element where path is an array of tables, else path.
func (s *lineScanner) element(path string) string {
	if n := s.elements[path]; n > 0 {
		return path + "[" + strconv.Itoa(n-1) + "]"
	}
	return path
}

// value moves over a value: to the end of the line, or of the last line of an array, inline table or long string.
func (s *lineScanner) value() {
	for depth := 0; s.at < len(s.text); {
		switch c := s.text[s.at]; c {
		case '"', '\'':
			s.quoted()
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '#':
			s.skipLine()
			continue
		case '\n':
			if depth <= 0 {
				return
			}
		}
		s.step(1)
	}
}

// quoted moves over a string of any of the four kinds.
func (s *lineScanner) quoted() {
	quote := s.text[s.at : s.at+1]
	if strings.HasPrefix(s.text[s.at:], quote+quote+quote) {
		quote = quote + quote + quote
	}
	s.step(len(quote))
	for s.at < len(s.text) {
		switch {
		case s.text[s.at] == '\\' && quote[0] == '"':
			s.step(2)
		case strings.HasPrefix(s.text[s.at:], quote):
			// A long string may end in up to two quotes of its own before the three that close it.
			for len(quote) == 3 && s.peek(3) == quote[0] {
				s.step(1)
			}
			s.step(len(quote))
			return
		case s.text[s.at] == '\n' && len(quote) == 1:
			return // not TOML: go on somehow
		default:
			s.step(1)
		}
	}
}

// add notes the line of a path and of the tables around it, unless they have one.
func (x lineIndex) add(path string, line int) {
	for ; path != ""; path = parentPath(path) {
		if x[path] == 0 {
			x[path] = line
		}
	}
}

// joinPath appends a key to a path.
func joinPath(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
