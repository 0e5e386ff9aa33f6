package main

// reporter collects what is wrong with a file. While the file is decoded it takes every problem; once decoded is set it
// takes none about keys that were not readable, since what they hold is a default that nobody chose.
type reporter struct {
	file       string
	lines      lineIndex
	problems   Problems
	warnings   Problems
	unreadable map[string]bool // paths with a problem of decoding
	decoded    bool
}

// bad notes a problem of the value at path.
func (r *reporter) bad(path, given, wanted string) {
	if !r.decoded {
		r.unreadable[path] = true
	} else if r.skips(path) {
		return
	}
	r.problems = append(r.problems, r.problem(path, given, wanted))
}

// warn notes something at path that is allowed and probably not meant.
func (r *reporter) warn(path, given, wanted string) {
	r.warnings = append(r.warnings, r.problem(path, given, wanted))
}

// newReporter returns a reporter for a file that is to be decoded.
func newReporter(file string, lines lineIndex) *reporter {
	return &reporter{file: file, lines: lines, unreadable: map[string]bool{}}
}

// problem places a problem in the file.
func (r *reporter) problem(path, given, wanted string) Problem {
	return Problem{File: r.file, Line: r.lines.line(path), Key: withoutPositions(path), Given: given, Wanted: wanted}
}

// missing notes that a key is wanted which the file does not hold. It is placed where it would belong or, if there is
// no such table, at the key that makes it necessary.
func (r *reporter) missing(path, because, wanted string) {
	if r.skips(path) {
		return
	}
	p := r.problem(path, "nothing", wanted)
	if !r.lines.has(parentPath(path)) {
		p.Line = r.lines.line(because)
	}
	r.problems = append(r.problems, p)
}

// skips reports whether the value at path, or a table around it, could not be decoded.
func (r *reporter) skips(path string) bool {
	for ; path != ""; path = parentPath(path) {
		if r.unreadable[path] {
			return true
		}
	}
	return false
}

// has reports whether the file holds the key or table.
func (r *reporter) has(path string) bool { return r.lines.has(path) }

// count returns the number of problems so far.
func (r *reporter) count() int { return len(r.problems) }
