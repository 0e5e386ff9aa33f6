package proxy

import (
	"bufio"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"rehydra/proxy/http1"
	"rehydra/proxy/upstream"
)

// A connection that waits for its next request holds nothing of the one before that is large.
func TestIdleConnectionShedsLargeBuffers(t *testing.T) {
	s := NewServer(Limits{}, &Routing{Table: &upstream.Table{}}, nil, zerolog.Nop())
	x := exchange{s: s, c: &client{}}
	x.begin()
	large := func() []byte { return make([]byte, 0, keepScratch+1) }
	x.headScratch, x.headCopy, x.respScratch, x.respCopy, x.toBackend, x.body.kept = large(), large(), large(), large(), large(), large()
	r := bufio.NewReader(strings.NewReader("0\r\nRehydra-State: " + strings.Repeat("s", 1_000_000) + "\r\n\r\n"))
	x.reply.Reset(r, http1.FramingChunked, 0, http1.TrailerLimits{Bytes: 2_000_000}, true)
	if _, err := x.reply.Read(make([]byte, 1)); !x.reply.Done() || len(x.reply.Trailers()) != 1 {
		t.Fatalf("the trailers were not read: %v", err)
	}
	x.end()
	for i, b := range [][]byte{x.headScratch, x.headCopy, x.respScratch, x.respCopy, x.toBackend, x.body.kept} {
		if b != nil {
			t.Errorf("buffer %d of %d bytes is kept", i, cap(b))
		}
	}
	if n := len(x.reply.Trailers()); n != 0 {
		t.Errorf("%d trailers are kept", n)
	}
}
