package sessiontier

import (
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// BenchmarkLock is what the lock costs a request of non-sticky mode that nobody is in the way of.
func BenchmarkLock(b *testing.B) {
	tier, err := Open(Config{Kind: KindEmbedded}, zerolog.Nop())
	if err != nil {
		b.Fatal(err)
	}
	defer tier.Close()
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		l, err := tier.Lock(ctx, "shop", "0123456789ABCDEF0123456789ABCDEF", time.Minute)
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Unlock(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
