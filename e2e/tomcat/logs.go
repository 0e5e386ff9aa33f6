package tomcat

import (
	"os"
	"strings"
)

func (s *Server) logPath() string { return s.base.path("logs", "catalina.out") }

// Log returns everything that Tomcat has printed, over all its starts.
func (s *Server) Log() string {
	s.t.Helper()
	data, err := os.ReadFile(s.logPath())
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

// BadLines returns the lines of the log that the adapter must not cause: warnings and worse of its own package, and Tomcat's
// complaints about leaks at the end.
func (s *Server) BadLines() []string {
	s.t.Helper()
	var bad []string
	for line := range strings.Lines(s.Log()) {
		ours := strings.Contains(line, "rehydra") || strings.Contains(line, "Rehydra")
		warning := strings.Contains(line, " WARNING ") || strings.Contains(line, " SEVERE ")
		leak := strings.Contains(line, "failed to stop it") || strings.Contains(line, "but failed to remove it") ||
			strings.Contains(line, "memory leak")
		if ours && warning || leak {
			bad = append(bad, strings.TrimSpace(line))
		}
	}
	return bad
}

func (s *Server) logTail() string {
	const most = 6000
	text := s.Log()
	return text[max(0, len(text)-most):]
}
