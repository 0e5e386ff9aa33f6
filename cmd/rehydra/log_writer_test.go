package main

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeOutput is an output whose behaviour a test sets: it takes at most room bytes.
type fakeOutput struct {
	mu     sync.Mutex
	text   strings.Builder
	room   int
	closed int
}

var errNoSpace = errors.New("no space left on device")

func (o *fakeOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(len(p), o.room)
	o.room -= n
	o.text.Write(p[:n])
	if n < len(p) {
		return n, errNoSpace
	}
	return n, nil
}

func (o *fakeOutput) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed++
	return nil
}

// set gives the output room for n bytes more, from now.
func (o *fakeOutput) set(room int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.room = room
}

// String returns what the output took.
func (o *fakeOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// blockedOutput takes nothing until released.
type blockedOutput struct{ release chan struct{} }

func (o blockedOutput) Write(p []byte) (int, error) {
	<-o.release
	return len(p), nil
}

func (blockedOutput) Close() error { return nil }

// write writes events, which must never fail.
func write(t *testing.T, w *LogWriter, events ...string) {
	t.Helper()
	for _, event := range events {
		if n, err := w.Write([]byte(event)); n != len(event) || err != nil {
			t.Fatalf("Write gave %d, %v", n, err)
		}
	}
}

func TestLogWriterFlushesEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &fakeOutput{room: 1 << 30}
		w := newLogWriter(out)
		w.start(func(uint64) {})
		write(t, w, "one\n")
		time.Sleep(logFlushInterval - time.Millisecond)
		synctest.Wait()
		if out.String() != "" {
			t.Errorf("%q was written before the second was over", out)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if out.String() != "one\n" {
			t.Errorf("%q was written after a second", out)
		}
		write(t, w, strings.Repeat("x", logFlushSize-1)+"\n")
		synctest.Wait()
		if len(out.String()) != len("one\n")+logFlushSize {
			t.Error("a full buffer waits for the second")
		}
		write(t, w, "now\n")
		(&Log{writer: w}).Flush()
		synctest.Wait()
		if !strings.HasSuffix(out.String(), "now\n") {
			t.Error("Flush waits for the second")
		}
		write(t, w, "end\n")
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if !strings.HasSuffix(out.String(), "end\n") || out.closed != 1 {
			t.Errorf("Close left something behind; closed %d times", out.closed)
		}
		if err := w.Close(); err != nil {
			t.Errorf("a second Close gave %v", err)
		}
	})
}

// A disk that fills up in the middle of a line, and has room again.
func TestLogWriterCountsWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &fakeOutput{room: len("one\ntw")}
		w := newLogWriter(out)
		lost := uint64(0)
		w.start(func(n uint64) { lost += n })
		write(t, w, "one\n", "two\n", "three\n")
		time.Sleep(logFlushInterval)
		synctest.Wait()
		if n := w.dropped.Load(); n != 2 || lost != 0 {
			t.Errorf("%d lines counted as lost, %d told, want 2 and 0", n, lost)
		}
		write(t, w, "four\n")
		time.Sleep(logFlushInterval) // still full
		synctest.Wait()
		out.set(1 << 30)
		write(t, w, "five\n")
		time.Sleep(logFlushInterval)
		synctest.Wait()
		if want := "one\ntw\nfive\n"; out.String() != want {
			t.Errorf("%q was written, want %q", out, want)
		}
		if n := w.dropped.Load(); n != 3 || lost != 3 {
			t.Errorf("%d lines counted as lost, %d told, want 3 and 3", n, lost)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestLogWriterDoesNotWaitForABlockedOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := blockedOutput{make(chan struct{})}
		w := newLogWriter(out)
		w.start(func(uint64) {})
		line := strings.Repeat("x", 1023) + "\n"
		write(t, w, strings.Repeat(line, logFlushSize/len(line)))
		synctest.Wait() // the goroutine waits for the output
		for range 4 * logBufferLimit / len(line) {
			write(t, w, line)
		}
		if w.dropped.Load() == 0 {
			t.Error("nothing was dropped")
		}
		next := &fakeOutput{}
		unused := &fakeOutput{}
		if err := w.replace(unused); err != nil {
			t.Error(err)
		}
		if err := w.replace(next); err != nil {
			t.Error(err)
		}
		start := time.Now()
		if err := w.Close(); err == nil || time.Since(start) != logCloseTimeout {
			t.Errorf("Close took %v and gave %v", time.Since(start), err)
		}
		close(out.release) // let the goroutine end
		synctest.Wait()
		if next.closed != 1 || unused.closed != 1 {
			t.Errorf("the new outputs were closed %d and %d times, want once", next.closed, unused.closed)
		}
	})
}

func TestLogWriteAllocatesNothing(t *testing.T) {
	w := newLogWriter(&fakeOutput{})
	event := []byte(strings.Repeat("x", 300) + "\n")
	w.pending = make([]byte, 0, logBufferLimit)
	if n := testing.AllocsPerRun(100, func() { _, _ = w.Write(event) }); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}

func BenchmarkLogWrite(b *testing.B) {
	w := newLogWriter(&fakeOutput{room: 1 << 62})
	w.start(func(uint64) {})
	event := []byte(strings.Repeat("x", 300) + "\n")
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = w.Write(event)
		}
	})
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}
