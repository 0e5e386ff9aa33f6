package sessiontier

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// BenchmarkSave stores the next version of a session, 1 KiB, as a proxy does after each request that changes it.
func BenchmarkSave(b *testing.B) {
	for _, nodes := range []int{0, 1, 2} {
		b.Run(fmt.Sprintf("memcached=%d", nodes), func(b *testing.B) {
			tier := benchmarkTier(b, nodes)
			k := key("0123456789ABCDEF0123456789ABCDEF")
			r := Record{Version: Version{1, 0}, Owner: "node1", TTL: time.Minute, State: make([]byte, 1024)}
			b.ReportAllocs()
			for b.Loop() {
				r.Version.Counter++
				if err := tier.Save(context.Background(), k, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSavesAtOnce stores next versions of 64 sessions, each in its own goroutine, as a proxy does that is busy. cpu-ns/op is what this process takes
// for one, in and outside the kernel: on a machine that does other things too it says more than the time.
func BenchmarkSavesAtOnce(b *testing.B) {
	for _, nodes := range []int{1, 2} {
		b.Run(fmt.Sprintf("memcached=%d", nodes), func(b *testing.B) {
			tier := benchmarkTier(b, nodes)
			const sessions = 64
			var done atomic.Int64
			var all sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime(b)
			for i := range sessions {
				all.Go(func() {
					k := key(fmt.Sprintf("0123456789ABCDEF0123456789ABC%03d", i))
					r := Record{Version: Version{1, 0}, Owner: "node1", TTL: time.Minute, State: make([]byte, 1024)}
					for done.Add(1) <= int64(b.N) {
						r.Version.Counter++
						if err := tier.Save(context.Background(), k, r); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpuTime is what this process has taken of the processors so far.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLookup reads a session of 1 KiB.
func BenchmarkLookup(b *testing.B) {
	for _, nodes := range []int{0, 1, 2} {
		b.Run(fmt.Sprintf("memcached=%d", nodes), func(b *testing.B) {
			tier := benchmarkTier(b, nodes)
			k := key("0123456789ABCDEF0123456789ABCDEF")
			if err := tier.Save(context.Background(), k, Record{Version: firstVersion, Owner: "node1", State: make([]byte, 1024)}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tier.Lookup(context.Background(), k); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchmarkTier opens a tier with as many copies as memcached servers; none: the embedded store.
func benchmarkTier(b *testing.B, nodes int) *Tier {
	cfg := Config{Kind: KindEmbedded, Timeout: time.Second}
	for i := range nodes {
		socket := fmt.Sprintf("%s/memcached%d", b.TempDir(), i)
		args := []string{"-s", socket, "-t", "1"}
		if os.Geteuid() == 0 {
			args = append(args, "-u", "root")
		}
		server := exec.Command("memcached", args...)
		if err := server.Start(); err != nil {
			b.Fatalf("cannot start memcached (apt-get install memcached): %v", err)
		}
		b.Cleanup(func() {
			_ = server.Process.Kill() // may have ended
			_ = server.Wait()
		})
		eventually(b, "memcached accepts connections", func() bool {
			c, err := net.Dial("unix", socket)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
		cfg.Kind, cfg.Copies = KindMemcached, nodes
		cfg.Nodes = append(cfg.Nodes, Node{Name: fmt.Sprint("n", i+1), Address: socket})
	}
	tier, err := Open(cfg, zerolog.Nop())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(tier.Close)
	return tier
}
