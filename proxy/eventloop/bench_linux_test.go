package eventloop

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// benchConns is how many connections ask at once.
const benchConns = 64

// BenchmarkEcho is a question of 100 bytes and its answer, over 64 connections at once: as jobs that rest, and by a goroutine for each connection.
func BenchmarkEcho(b *testing.B) {
	b.Run("loops", func(b *testing.B) {
		g := newGroup(b, 2)
		ln, from := open(b, g, "127.0.0.1:0")
		accepted := serve(b, g, from, func(c *Conn) Job { return &echo{c: c} })
		ask(b, ln)
		from.Close()
		<-accepted
	})
	b.Run("goroutines", func(b *testing.B) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		var serving sync.WaitGroup
		serving.Go(func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				serving.Go(func() {
					defer c.Close()
					buffer := make([]byte, 100)
					for {
						n, err := c.Read(buffer)
						if err != nil {
							return
						}
						if _, err := c.Write(buffer[:n]); err != nil {
							return
						}
					}
				})
			}
		})
		ask(b, ln)
		ln.Close()
		serving.Wait()
	})
}

// ask asks b.N questions.
func ask(b *testing.B, ln net.Listener) {
	var clients sync.WaitGroup
	var asked atomic.Int64
	var conns []net.Conn
	for range benchConns {
		far, err := net.DialTimeout("tcp", ln.Addr().String(), patience)
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, far)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, far := range conns {
		clients.Go(func() {
			defer far.Close()
			p := make([]byte, 100)
			for asked.Add(1) <= int64(b.N) {
				if _, err := far.Write(p); err != nil {
					b.Error(err)
					return
				}
				if _, err := io.ReadFull(far, p); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	b.StopTimer()
}
