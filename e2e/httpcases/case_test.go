package httpcases

import (
	"encoding/json"
	"fmt"
	"os"
)

// suite is testdata/http.json. README.md says what each key means.
type suite struct {
	Version       int
	DefaultAnswer string `json:"default_answer"`
	Cases         []testCase
}

type testCase struct {
	ID           string
	About        string
	Client       string
	Backend      []string
	Client2      string
	Client2Times int `json:"client2_times"`
	Backends     int
	Repeat       int
	Methods      []string
	LimitMS      int       `json:"limit_ms"`
	MaxRSSMB     int       `json:"max_rss_mb"`
	Targets      []string  `json:"targets"`
	ClientNever  []string  `json:"client_never"`
	BackendNever []string  `json:"backend_never"`
	NotAlways    string    `json:"not_always"`
	AnyOf        []outcome `json:"any_of"`
	Source       string
}

type outcome struct {
	Name          string
	Status        [][]string
	Close         bool
	CloseIs       *bool `json:"close_is"`
	Body          []*string
	Cut           bool
	BodyPrefixOf  *string `json:"body_prefix_of"`
	Interim       []string
	InterimHas    []string            `json:"interim_has"`
	InterimNone   bool                `json:"interim_none"`
	HeadHas       []string            `json:"head_has"`
	HeadHasAny    []string            `json:"head_has_any"`
	HeadLacks     []string            `json:"head_lacks"`
	HeadFields    map[string][]string `json:"head_fields"`
	AnswerVersion string              `json:"answer_version"`
	WithinMS      int                 `json:"within_ms"`
	Tunnel        *string
	HTTP2         bool
	Status2       [][]string
	Body2         *string
	Requests      *[2]int
	Partial       string
	Seen          []seenRequest
	Node          string
	BackendClosed bool    `json:"backend_closed"`
	BackendTunnel *string `json:"backend_tunnel"`
}

type seenRequest struct {
	Method       string
	Target       []string
	Version      string
	Host         []string
	Body         *string
	Has          []string
	HasAny       []string `json:"has_any"`
	Lacks        []string
	TrailerLacks []string `json:"trailer_lacks"`
	Fields       map[string][]string
	Elements     map[string][]string
	Count        map[string]int
	Cookies      []string
}

// loadSuite refuses keys it does not know: a condition that is not checked would pass.
func loadSuite(file string) (*suite, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the cases: %w", err)
	}
	defer f.Close()
	var s suite
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("cannot decode the cases of %q: %w", file, err)
	}
	for i := range s.Cases {
		c := &s.Cases[i]
		c.Repeat = max(c.Repeat, 1)
		c.Backends = max(c.Backends, 1)
	}
	return &s, nil
}
