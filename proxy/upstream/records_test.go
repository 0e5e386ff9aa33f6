package upstream

import "testing"

// FuzzRecords: where a stream stands does not depend on how it came in pieces, and it is between two records exactly if it is made of whole ones.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("\x17\x03\x03\x00\x02ab\x17\x03\x03\x00\x00"), uint8(3))
	f.Add([]byte("\x17\x03\x03\x00\x02a"), uint8(1))
	f.Add([]byte("\x17\x03"), uint8(0))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		var whole, pieces records
		whole.pass(stream)
		for rest := stream; len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			pieces.pass(rest[:n])
			rest = rest[n:]
		}
		if whole.within() != pieces.within() || whole.left != pieces.left || whole.got != pieces.got {
			t.Errorf("whole %+v, in pieces %+v", whole, pieces)
		}
		rest := stream
		for len(rest) >= 5 && len(rest) >= 5+int(rest[3])<<8+int(rest[4]) {
			rest = rest[5+int(rest[3])<<8+int(rest[4]):]
		}
		if whole.within() != (len(rest) > 0) {
			t.Errorf("%d bytes are left, and within is %v", len(rest), whole.within())
		}
	})
}
