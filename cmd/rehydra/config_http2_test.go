package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestHTTP2Keys(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		problem     string // "" wants none
		protocols   []string
		streams     int
	}{
		{"defaults", "", "", []string{"h2", "http/1.1"}, 128},
		{"off", "http2 = false\n", "", []string{"http/1.1"}, 128},
		{"other", "http2_max_streams = 7\n", "", []string{"h2", "http/1.1"}, 7},
		{"none", "http2_max_streams = 0\n", "2: server.tls.http2_max_streams: given 0, wanted 1 to 10000", nil, 0},
		{"too many", "http2_max_streams = 10001\n", "2: server.tls.http2_max_streams: given 10001, wanted 1 to 10000", nil, 0},
		{"no boolean", "http2 = \"yes\"\n", `2: server.tls.http2: given "yes", wanted true or false`, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "rehydra.toml")
			writeFile(t, file, "[server.tls]\n"+c.lines+plainPool)
			cfg, _, err := LoadConfig(file)
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) {
					t.Errorf("got %v, wanted %s", err, c.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := cfg.Server.TLS.protocols(); !slices.Equal(got, c.protocols) || cfg.Server.TLS.MaxStreams != c.streams {
				t.Errorf("got %v and %d streams", got, cfg.Server.TLS.MaxStreams)
			}
		})
	}
}
