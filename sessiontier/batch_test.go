package sessiontier

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
)

// TestBatch: what goes out is what came in, in order, whether it was copied or not; and room that grew is given back.
func TestBatch(t *testing.T) {
	var b batch
	for round := range 3 {
		var want []byte
		for i, size := range []int{0, 100, copyUpTo, copyUpTo + 1, 0, 50_000, 50_000, 7} {
			head, value := requestFor(fmt.Sprint("key", i)), bytes.Repeat([]byte{byte(i)}, size)
			if first := b.add(head, value, uint32(i)); first != (i == 0) {
				t.Errorf("request %d: first is %t", i, first)
			}
			binary.BigEndian.PutUint32(head[serialAt:], uint32(i))
			want = append(append(want, head...), value...)
		}
		var got bytes.Buffer
		if err := b.writeTo(&writerConn{w: &got}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("round %d: %d bytes went out, want %d as they were", round, got.Len(), len(want))
		}
		if !b.empty() || cap(b.copied) > keepBatch {
			t.Errorf("round %d: left %d bytes and room for %d", round, len(b.copied), cap(b.copied))
		}
	}
}

// writerConn is a connection that writes to memory.
type writerConn struct {
	net.Conn
	w io.Writer
}

func (c *writerConn) Write(p []byte) (int, error) { return c.w.Write(p) }
