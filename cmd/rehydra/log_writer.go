package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// logBufferLimit is how many bytes may wait; as many again may be on their way to the output.
	logBufferLimit = 1 << 20
	// logFlushSize is how many bytes are written without waiting for the flush interval.
	logFlushSize = 64 << 10
)

// LogWriter is a buffer in front of a log's output. Write never waits for the output and never fails: an event that
// finds the buffer full is lost, and so is one that the output does not take. dropped counts both. One goroutine,
// which Close ends, does the writing.
type LogWriter struct {
	dropped atomic.Uint64

	mu      sync.Mutex // held to copy bytes, never for I/O
	pending []byte
	next    io.WriteCloser // takes the place of out
	closed  bool

	wake    chan struct{} // something to do before the interval is over
	stop    chan struct{}
	stopped chan struct{}
	err     error // of closing; to be read after stopped

	// The goroutine's own.
	out     io.WriteCloser
	spare   []byte
	midLine bool // the output took only the beginning of a line
}

// newLogWriter returns a writer that begins to write when start is called.
func newLogWriter(out io.WriteCloser) *LogWriter {
	return &LogWriter{out: out, wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
}

// start starts the goroutine. lost is called there, with a number of events, once the output takes lines again after
// some were lost.
func (w *LogWriter) start(lost func(uint64)) { go w.run(lost) }

// Write takes one event, ending in a line end, and returns len(event) and nil in any case.
func (w *LogWriter) Write(event []byte) (int, error) {
	w.mu.Lock()
	fits := !w.closed && len(w.pending)+len(event) <= logBufferLimit
	if fits {
		w.pending = append(w.pending, event...)
	}
	wake := len(w.pending) >= logFlushSize
	w.mu.Unlock()
	if !fits {
		w.dropped.Add(1)
	}
	if wake {
		w.poke()
	}
	return len(event), nil
}

// replace makes the goroutine go on with another output, and close the one before. It does not wait for that.
func (w *LogWriter) replace(out io.WriteCloser) error {
	w.mu.Lock()
	unused := w.next
	w.next = out
	if w.closed {
		unused, w.next = out, nil
	}
	w.mu.Unlock()
	w.poke()
	if unused != nil {
		return unused.Close()
	}
	return nil
}

// Close writes what is left and closes the output. An output that takes nothing for logCloseTimeout is left behind, with
// the goroutine that waits for it, and the error says so: a process that ends must not wait for its log's reader.
func (w *LogWriter) Close() error {
	w.mu.Lock()
	first := !w.closed
	w.closed = true
	w.mu.Unlock()
	if first {
		close(w.stop)
	}
	timeout := time.NewTimer(logCloseTimeout)
	defer timeout.Stop()
	select {
	case <-w.stopped:
		return w.err
	case <-timeout.C:
		return fmt.Errorf("cannot write the end of the log: the output took nothing for %v", logCloseTimeout)
	}
}

// poke wakes the goroutine, if it is not about to wake anyway.
func (w *LogWriter) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *LogWriter) run(lost func(uint64)) {
	defer close(w.stopped)
	ticker := time.NewTicker(logFlushInterval)
	defer ticker.Stop()
	told := uint64(0)
	for {
		select {
		case <-ticker.C:
		case <-w.wake:
		case <-w.stop:
			w.swapOutput()
			w.flush()
			w.err = w.out.Close()
			return
		}
		w.swapOutput()
		if n := w.flush(); n > 0 && w.hasRoom() {
			if total := w.dropped.Load(); total > told {
				lost(total - told)
				told = total
			}
		}
	}
}

// hasRoom reports whether the buffer is rather empty: what is said there now will not be lost itself.
func (w *LogWriter) hasRoom() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.pending) < logBufferLimit/2
}

// swapOutput puts the next output, if there is one, into the place of the current one.
func (w *LogWriter) swapOutput() {
	w.mu.Lock()
	next := w.next
	w.next = nil
	w.mu.Unlock()
	if next == nil {
		return
	}
	if err := w.out.Close(); err != nil {
		w.dropped.Add(1) // closing is where a network file system tells that it kept something back
	}
	w.out, w.midLine = next, false
}

// flush writes what is pending and returns how many bytes the output took; 0 when it refused any.
func (w *LogWriter) flush() int {
	w.mu.Lock()
	data := w.pending
	w.pending = w.spare[:0]
	w.mu.Unlock()
	w.spare = data
	if len(data) == 0 {
		return 0
	}
	if w.midLine {
		// The rest of that line is lost: end it, or it would spoil the next one too.
		if _, err := w.out.Write([]byte{'\n'}); err != nil {
			w.dropped.Add(uint64(bytes.Count(data, []byte{'\n'})))
			return 0
		}
		w.midLine = false
	}
	n, err := w.out.Write(data)
	if n < len(data) && err == nil {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.midLine = n > 0 && data[n-1] != '\n'
		w.dropped.Add(uint64(bytes.Count(data[n:], []byte{'\n'})))
		return 0
	}
	return n
}
