package harness

import (
	"bytes"
	"sync"
)

// Output collects what a process writes, for a test that reads it meanwhile. The zero value is empty.
type Output struct {
	mu   sync.Mutex
	data bytes.Buffer
}

// Write adds p and never fails.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.Write(p)
}

// String is what has been written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.String()
}
