package eventloop

import "sync/atomic"

const (
	chunkSize = 1 << 12
	chunks    = 1 << 10
)

// table finds the connection of a descriptor. Descriptors are small numbers: the system gives the least that is free.
type table [chunks]atomic.Pointer[chunk]

type chunk [chunkSize]atomic.Pointer[Conn]

// put notes the connection of a descriptor, or, nil, that there is none. It returns false where the number is too large.
func (t *table) put(fd int, c *Conn) bool {
	if fd < 0 || fd >= chunks*chunkSize {
		return false
	}
	at := &t[fd/chunkSize]
	for at.Load() == nil {
		at.CompareAndSwap(nil, new(chunk))
	}
	at.Load()[fd%chunkSize].Store(c)
	return true
}

// get returns the connection of a descriptor, nil if there is none.
func (t *table) get(fd int) *Conn {
	if fd < 0 || fd >= chunks*chunkSize {
		return nil
	}
	part := t[fd/chunkSize].Load()
	if part == nil {
		return nil
	}
	return part[fd%chunkSize].Load()
}
