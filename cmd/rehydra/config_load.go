package main

import (
	"errors"
	"os"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
)

// LoadConfig reads and checks a configuration file, and the token files that it names. The error is Problems: all of
// them, not only the first. warnings are what is allowed and probably not meant; they are there without an error, too.
func LoadConfig(path string) (cfg Config, warnings Problems, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, nil, Problems{{File: path, Given: pathless(err).Error(), Wanted: "a readable file"}}
	}
	return ParseConfig(path, string(data))
}

// ParseConfig is LoadConfig for a document at hand. file names it in problems, and token files are looked for beside it.
func ParseConfig(file, document string) (cfg Config, warnings Problems, err error) {
	document = strings.TrimPrefix(document, "\ufeff") // an editor's byte order mark
	tree := map[string]any{}
	if _, err := toml.Decode(document, &tree); err != nil {
		return Config{}, nil, Problems{syntaxProblem(file, document, err)}
	}
	report := newReporter(file, indexLines(document))
	cfg = DefaultConfig()
	decoder{report}.table("", tree, reflect.ValueOf(&cfg).Elem())
	report.decoded = true
	checker{reporter: report, cfg: &cfg}.all()
	report.problems.sort()
	report.warnings.sort()
	if len(report.problems) > 0 {
		return Config{}, report.warnings, report.problems
	}
	return cfg, report.warnings, nil
}

// syntaxProblem places an error of the TOML library. Its text may quote the file, so a line that may hold a secret
// gets a sentence of ours.
func syntaxProblem(file, document string, err error) Problem {
	problem := Problem{File: file, Given: err.Error(), Wanted: "TOML 1.0 (https://toml.io)"}
	var parse toml.ParseError
	if !errors.As(err, &parse) {
		return problem
	}
	problem.Line, problem.Key, problem.Given = parse.Position.Line, parse.LastKey, parse.Message
	lines := strings.Split(document, "\n")
	near := ""
	if n := problem.Line; n >= 1 && n <= len(lines) {
		near = lines[n-1]
	}
	if strings.Contains(near+parse.LastKey, "tok") {
		problem.Given = "something that is not TOML (not shown: it may be a secret)"
	}
	return problem
}
