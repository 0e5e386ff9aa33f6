package main

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration file.
type Problem struct {
	File   string
	Line   int    // from 1; 0 where the file as a whole is meant
	Key    string // dotted, such as "pool.backend.url"; "" where the file as a whole is meant
	Given  string // what the file says; never a secret
	Wanted string // what it should say
}

// String returns "FILE:LINE: KEY: given ..., wanted ...".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Key != "" {
		fmt.Fprintf(&b, ": %s", p.Key)
	}
	fmt.Fprintf(&b, ": given %s, wanted %s", p.Given, p.Wanted)
	return b.String()
}

// Problems are all that is wrong with a configuration file, in the order of its lines.
type Problems []Problem

// Error returns the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sort orders the problems by line and keeps those of one line in the order in which they were found.
func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int { return a.Line - b.Line })
}
