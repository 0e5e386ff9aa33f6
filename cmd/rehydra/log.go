package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// logTimeFormat is RFC 3339 with milliseconds: as fine as a request's duration, and sortable as text.
const logTimeFormat = "2006-01-02T15:04:05.000Z07:00"

// Log is the log of one process: a zerolog.Logger on a LogWriter.
type Log struct {
	// Logger is what is handed to everything that logs.
	Logger zerolog.Logger

	writer *LogWriter
	path   string // "" for stderr
}

// OpenLog opens the log that cfg describes. The error says which file cannot be opened. The caller closes the log,
// last of all.
func OpenLog(cfg LogConfig) (*Log, error) {
	level, err := zerolog.ParseLevel(cfg.Level)
	if err != nil {
		return nil, fmt.Errorf("cannot use log level %q: %w", cfg.Level, err)
	}
	l := &Log{}
	if cfg.Output != "stderr" {
		l.path = cfg.Output
	}
	file, err := openLogOutput(l.path)
	if err != nil {
		return nil, err
	}
	l.writer = newLogWriter(file)
	var out io.Writer = l.writer
	if cfg.Format == "console" {
		out = zerolog.ConsoleWriter{Out: l.writer, TimeFormat: "15:04:05.000", NoColor: !isTerminal(file)}
	}
	l.Logger = zerolog.New(out).Level(level).Hook(new(logClock))
	l.writer.start(func(lost uint64) {
		l.Logger.Warn().Uint64("lost", lost).Msg("log lines lost")
	})
	return l, nil
}

// Reopen opens the log's file again under its name, for a rotation that has moved it away, and writes what comes next
// to the new one. When that fails, the old file stays in use. A log on stderr has nothing to open.
func (l *Log) Reopen() error {
	if l.path == "" {
		return nil
	}
	file, err := openLogOutput(l.path)
	if err != nil {
		return err
	}
	return l.writer.replace(file)
}

// Flush has what was logged so far written now, without waiting for it.
func (l *Log) Flush() { l.writer.poke() }

// Dropped returns how many events were lost since the start: the disk was full, or the reader of a pipe too slow.
func (l *Log) Dropped() uint64 { return l.writer.dropped.Load() }

// Close writes what is left, waiting at most two seconds for it, and closes the output. Events after that are lost.
func (l *Log) Close() error { return l.writer.Close() }

// openLogOutput opens a file for appending, or stderr when path is empty.
func openLogOutput(path string) (*os.File, error) {
	if path != "" {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
		if err != nil {
			return nil, fmt.Errorf("cannot open log: %w", err)
		}
		return file, nil
	}
	// A descriptor of our own: the Go runtime ends the process when a write to descriptor 2 meets a closed pipe,
	// and nobody's log reader may do that. Closing it also leaves stderr itself open.
	fd, err := unix.FcntlInt(os.Stderr.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("cannot open log on stderr: %w", err)
	}
	return os.NewFile(uintptr(fd), "stderr"), nil
}

// isTerminal reports whether a person may be looking.
func isTerminal(file *os.File) bool { return isatty.IsTerminal(file.Fd()) }

// The times of a LogWriter.
const (
	logFlushInterval = time.Second
	logCloseTimeout  = 2 * time.Second
)
