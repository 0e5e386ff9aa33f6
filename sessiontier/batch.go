package sessiontier

import (
	"encoding/binary"
	"net"
)

// batch is what goes out in one write. Short requests are copied one behind the other; a long value is not, it is written from where it is.
type batch struct {
	copied []byte
	from   int         // where in copied the part begins that is not in parts yet
	parts  net.Buffers // empty: all is in copied
}

// copyUpTo is the longest value, in bytes, that is copied: a piece more in a write costs about as much as copying so many.
const copyUpTo = 4 << 10

// keepBatch is how much room a batch keeps: 64 saves of 2 KiB, which is what comes together on a proxy that is busy, and as much again.
const keepBatch = 256 << 10

// empty says that there is nothing to be written.
func (b *batch) empty() bool { return len(b.copied) == 0 }

// add puts a request behind the others, under a serial number. first: it is the only one.
func (b *batch) add(head, value []byte, serial uint32) (first bool) {
	first, at := b.empty(), len(b.copied)
	b.copied = append(b.copied, head...)
	binary.BigEndian.PutUint32(b.copied[at+serialAt:], serial)
	if len(value) <= copyUpTo {
		b.copied = append(b.copied, value...)
		return first
	}
	// When copied grows it moves; the parts stay where they are, and as they are.
	b.parts = append(b.parts, b.copied[b.from:len(b.copied):len(b.copied)], value)
	b.from = len(b.copied)
	return first
}

// gatherer is a connection that writes parts in one system call, as net.Buffers does for those of package net alone. It does not change them.
type gatherer interface {
	Writev(parts [][]byte) (written int64, err error)
}

// writeTo writes and empties the batch.
func (b *batch) writeTo(conn net.Conn) (err error) {
	if len(b.parts) == 0 {
		_, err = conn.Write(b.copied)
	} else {
		if b.from < len(b.copied) {
			b.parts = append(b.parts, b.copied[b.from:])
		}
		if at, ok := conn.(gatherer); ok {
			_, err = at.Writev(b.parts)
		} else {
			parts := b.parts // WriteTo moves the slice that it is called on
			_, err = parts.WriteTo(conn)
		}
		clear(b.parts)
	}
	b.copied, b.parts, b.from = b.copied[:0], b.parts[:0], 0
	if cap(b.copied) > keepBatch {
		b.copied = nil
	}
	return err
}
