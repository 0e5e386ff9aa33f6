package checks

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// report is a Rehydra-Session field (section 3).
type report struct {
	id, was, app string
	version      version
	ttl          int
	state        string
}

// version is generation.counter.
type version struct{ generation, counter uint64 }

func (v version) String() string { return fmt.Sprintf("%d.%d", v.generation, v.counter) }

func (v version) newer(w version) bool {
	return v.generation > w.generation || v.generation == w.generation && v.counter > w.counter
}

func parseVersion(s string) (version, error) {
	g, c, ok := strings.Cut(s, ".")
	generation, err1 := strconv.ParseUint(g, 10, 64)
	counter, err2 := strconv.ParseUint(c, 10, 64)
	if !ok || err1 != nil || err2 != nil || generation == 0 {
		return version{}, fmt.Errorf("version %q given, wanted generation.counter such as 2.8", s)
	}
	return version{generation, counter}, nil
}

var (
	parameter = regexp.MustCompile(`^\s*([a-z]+)=("([^"\\]*)"|[^";\s]+)\s*(;|$)`)
	idPattern = regexp.MustCompile(`^[A-Za-z0-9_~!*+=:-][A-Za-z0-9._~!*+=:-]{0,199}$`)
)

// parseParameters reads `name=value; name="value"`.
func parseParameters(field string) (map[string]string, error) {
	values := map[string]string{}
	for rest := field; rest != ""; {
		m := parameter.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("%q given, wanted name=value; name=\"value\" from %q on", field, rest)
		}
		if _, twice := values[m[1]]; twice {
			return nil, fmt.Errorf("%q given, wanted %s once", field, m[1])
		}
		values[m[1]] = m[2]
		if strings.HasPrefix(m[2], `"`) {
			values[m[1]] = m[3]
		}
		rest = rest[len(m[0]):]
	}
	return values, nil
}

func parseReport(field string) (report, error) {
	values, err := parseParameters(field)
	if err != nil {
		return report{}, err
	}
	r := report{id: values["id"], was: values["was"], app: values["app"], state: values["state"]}
	if !idPattern.MatchString(r.id) || r.app == "" {
		return report{}, fmt.Errorf("%q given, wanted a usable id and an app", field)
	}
	switch r.state {
	case "inline", "same", "gone", "late", "pull":
	default:
		return report{}, fmt.Errorf("state %q given, wanted inline, same, gone, late or pull", r.state)
	}
	if values["version"] != "" || r.state != "gone" {
		if r.version, err = parseVersion(values["version"]); err != nil {
			return report{}, err
		}
	}
	if ttl, ok := values["ttl"]; ok || r.state != "gone" {
		if r.ttl, err = strconv.Atoi(ttl); err != nil {
			return report{}, fmt.Errorf("ttl %q given, wanted a number of seconds", ttl)
		}
	}
	return r, nil
}

// page is what the test application prints.
type page struct {
	session string // the id, or "none"
	created string // milliseconds since 1970
	values  map[string]string
	sizes   map[string]int
	calls   int // how often the application was called
	body    int // bytes of the request's body
}

func parsePage(body []byte) (page, error) {
	p := page{values: map[string]string{}, sizes: map[string]int{}, calls: -1}
	for line := range strings.Lines(string(body)) {
		word := strings.Fields(line)
		if len(word) < 2 {
			continue // a template engine's empty lines
		}
		var err error
		switch word[0] {
		case "session":
			p.session = word[1]
		case "created":
			p.created = word[1]
		case "calls":
			p.calls, err = strconv.Atoi(word[1])
		case "body":
			p.body, err = strconv.Atoi(word[1])
		case "value":
			p.values[word[1]] = strings.Join(word[2:], " ")
		case "size":
			if len(word) == 3 {
				p.sizes[word[1]], err = strconv.Atoi(word[2])
			}
		}
		if err != nil {
			return page{}, fmt.Errorf("page line %q: a number wanted", strings.TrimSpace(line))
		}
	}
	if p.session == "" || p.calls < 0 {
		return page{}, fmt.Errorf("page of %d bytes: the lines \"session\" and \"calls\" wanted; is this the test application?", len(body))
	}
	return p, nil
}
