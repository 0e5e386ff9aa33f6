package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// openTestLog opens a log that the test closes itself.
func openTestLog(t *testing.T, cfg LogConfig) *Log {
	t.Helper()
	log, err := OpenLog(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// readLines returns the lines of a file.
func readLines(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

// eventually polls until done or half a minute has passed.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited half a minute: %s", what)
		}
	}
}

func TestLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rehydra.log")
	log := openTestLog(t, LogConfig{Format: "json", Level: "warn", Output: path})
	log.Logger.Info().Msg("below the level")
	log.Logger.Warn().Str("backend", "node1").Msg("backend out")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	lines := readLines(t, path)
	if len(lines) != 1 {
		t.Fatalf("%d lines, want 1: %q", len(lines), lines)
	}
	var event struct {
		Level, Message, Backend string
		Time                    time.Time
	}
	if err := json.Unmarshal([]byte(lines[0]), &event); err != nil {
		t.Fatalf("%q: %v", lines[0], err)
	}
	if event.Level != "warn" || event.Message != "backend out" || event.Backend != "node1" || time.Since(event.Time) > time.Minute {
		t.Errorf("logged %s", lines[0])
	}
	if log.Dropped() != 0 {
		t.Errorf("%d lines lost", log.Dropped())
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("anybody may read the log: %v, %v", info.Mode(), err)
	}
}

func TestLogConsole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rehydra.log")
	log := openTestLog(t, LogConfig{Format: "console", Level: "info", Output: path})
	log.Logger.Info().Str("backend", "node1").Msg("backend up")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if line := readLines(t, path)[0]; !strings.Contains(line, "INF backend up backend=node1") || strings.Contains(line, "\x1b") {
		t.Errorf("logged %q", line)
	}
}

func TestLogThatCannotBeOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "rehydra.log")
	_, err := OpenLog(LogConfig{Format: "json", Level: "info", Output: path})
	if err == nil || !strings.Contains(err.Error(), "cannot open log: open "+path+": no such file or directory") {
		t.Errorf("got %v", err)
	}
}

func TestLogReopensAfterARotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rehydra.log")
	log := openTestLog(t, LogConfig{Format: "json", Level: "info", Output: path})
	log.Logger.Info().Msg("one")
	log.Flush()
	eventually(t, "the first line", func() bool { return len(readLines(t, path)[0]) > 0 })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second may find the first's file not yet in use
		if err := log.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	log.Logger.Info().Msg("two")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if lines := readLines(t, path+".1"); len(lines) != 1 || !strings.Contains(lines[0], `"one"`) {
		t.Errorf("the old file holds %q", lines)
	}
	if lines := readLines(t, path); len(lines) != 1 || !strings.Contains(lines[0], `"two"`) {
		t.Errorf("the new file holds %q", lines)
	}
}

func TestLogKeepsTheFileWhenReopenFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "rehydra.log")
	log := openTestLog(t, LogConfig{Format: "json", Level: "info", Output: path})
	if err := os.Rename(dir, dir+".1"); err != nil {
		t.Fatal(err)
	}
	if err := log.Reopen(); err == nil || !strings.Contains(err.Error(), "cannot open log") {
		t.Errorf("Reopen gave %v", err)
	}
	log.Logger.Info().Msg("still here")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if lines := readLines(t, filepath.Join(dir+".1", "rehydra.log")); len(lines) != 1 {
		t.Errorf("the file holds %q", lines)
	}
}

// A disk that is full: /dev/full refuses every write with ENOSPC.
func TestFullDiskLosesLinesAndNothingElse(t *testing.T) {
	log := openTestLog(t, LogConfig{Format: "json", Level: "info", Output: "/dev/full"})
	for range 3 {
		log.Logger.Info().Msg("lost")
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log.Logger.Info().Msg("after the end")
	if log.Dropped() != 4 {
		t.Errorf("%d lines counted as lost, want 4", log.Dropped())
	}
}

// pipeLog returns a log on a pipe, and the end to read it from.
func pipeLog(t *testing.T) (*Log, *os.File) {
	t.Helper()
	reader, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	log := &Log{writer: newLogWriter(out)}
	log.Logger = zerolog.New(log.writer)
	log.writer.start(func(lost uint64) { log.Logger.Warn().Uint64("lost", lost).Msg("log lines lost") })
	return log, reader
}

// A pipe whose reader stops reading, and begins again.
func TestBlockedPipeLosesLinesAndNothingElse(t *testing.T) {
	log, reader := pipeLog(t)
	text := strings.Repeat("x", 1000)
	written := 0
	eventually(t, "until a line is lost", func() bool {
		for range 1000 {
			log.Logger.Info().Msg(text)
			written++
		}
		return log.Dropped() > 0
	})
	if most := 4 * logBufferLimit / len(text); written > most {
		t.Errorf("%d lines were kept, want at most %d", written, most)
	}
	// The pipe flows again: what was kept comes out, and then the event that says what was not.
	var all bytes.Buffer
	chunk := make([]byte, 64<<10)
	for !bytes.Contains(all.Bytes(), []byte(`"message":"log lines lost"`)) {
		n, err := reader.Read(chunk)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(chunk[:n])
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := all.ReadFrom(reader); err != nil {
		t.Fatal(err)
	}
	if got, lost := bytes.Count(all.Bytes(), []byte(text)), int(log.Dropped()); got+lost != written {
		t.Errorf("%d lines came out and %d are counted as lost, want %d together", got, lost, written)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
}

// A pipe whose reader went away must not end the process, nor hold it up.
func TestClosedPipeLosesLinesAndNothingElse(t *testing.T) {
	log, reader := pipeLog(t)
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	log.Logger.Info().Msg("lost")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if log.Dropped() != 1 {
		t.Errorf("%d lines counted as lost, want 1", log.Dropped())
	}
}

// The log on stderr has a descriptor of its own: on descriptor 2 a closed pipe would end the process.
func TestStderrIsDuplicated(t *testing.T) {
	file, err := openLogOutput("")
	if err != nil {
		t.Fatal(err)
	}
	if fd := file.Fd(); fd <= 2 {
		t.Errorf("the descriptor is %d", fd)
	}
	flags, err := unix.FcntlInt(file.Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the descriptor is inherited: %v, %v", flags, err)
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stderr.Stat(); err != nil {
		t.Errorf("stderr is closed: %v", err)
	}
	log := openTestLog(t, LogConfig{Format: "json", Level: "info", Output: "stderr"})
	if err := log.Reopen(); err != nil {
		t.Error(err)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}
