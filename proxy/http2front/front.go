package http2front

import (
	"context"
	"log"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/http2"
)

// Config bounds what one connection may cost. Every field must be set.
type Config struct {
	MaxStreams   int           // requests of one connection that may be under way at once
	HeaderBytes  int           // of a request's header list, before compression; what is a little longer is still handed on
	IdleTimeout  time.Duration // how long a connection without a request is kept
	StallTimeout time.Duration // how long a client may take nothing of an answer that is there for it, also when its connection goes
	Log          zerolog.Logger
}

const (
	// streamWindow is how much of a request's body a client may send ahead of its reader, and so what one stream may hold in memory.
	streamWindow = 256 << 10
	// connectionWindow is the same for all streams of a connection: one whose reader stands still leaves room for others.
	connectionWindow = 1 << 20
	// frameSize is how long a frame of a client may be: no longer than what everybody must take (RFC 9113, section 4.2).
	frameSize = 16 << 10
	// never is x/net's time for an answer. It must have one: a stream that had none from its beginning gets its first deadline (see download.end) also
	// when it is closed by then, and then a RST_STREAM when that is over, which its client may take for an error of the connection (RFC 9113, section 5.1).
	never = time.Duration(math.MaxInt64)
)

// Front serves HTTP/2 connections.
//
// x/net calls what is used here deprecated in favour of http.Server, which would have to be given a listener of its own: a connection whose TLS handshake
// is done cannot be handed to it.
//
//nolint:staticcheck // SA1019, see above
type Front struct {
	config Config
	base   *http.Server // what x/net takes limits from; it listens on nothing
	server *http2.Server
	drains atomic.Bool
}

// New returns a front. Its error is one of the configuration.
//
//nolint:staticcheck // SA1019, see Front
func New(c Config) (*Front, error) {
	f := &Front{
		config: c,
		base: &http.Server{
			MaxHeaderBytes: c.HeaderBytes,
			IdleTimeout:    c.IdleTimeout,
			WriteTimeout:   never,
			ErrorLog:       log.New(complaints{c.Log}, "", 0),
			ConnState: func(conn net.Conn, to http.ConnState) {
				if g, ok := conn.(interface{ turn(to http.ConnState) }); ok {
					g.turn(to)
				}
			},
		},
		server: &http2.Server{
			MaxConcurrentStreams:         uint32(c.MaxStreams),
			MaxUploadBufferPerConnection: connectionWindow,
			MaxUploadBufferPerStream:     streamWindow,
			MaxReadFrameSize:             frameSize,
			IdleTimeout:                  c.IdleTimeout,
		},
	}
	// This ties the two together, so that Drain reaches every connection.
	return f, http2.ConfigureServer(f.base, f.server)
}

// Connection is the HTTP/2 of one client.
type Connection struct {
	front *Front
	guard *guard
	conn  net.Conn // the guard, as x/net is given it
}

// Begin returns the HTTP/2 of a client, which is to be served. busy, which may be nil, is called when the first of its requests has begun, and when there is none any more: by
// turns, and never twice at once. It is not to block.
func (f *Front) Begin(conn net.Conn, busy func(bool)) *Connection {
	k := &Connection{front: f}
	k.guard, k.conn = guarded(conn, f.reached, busy)
	return k
}

// Serve speaks HTTP/2 on the connection until that ends, closes it, and returns when the last of its requests has ended. answer is called for each of them, in a goroutine of
// its own: it reads the request from the Stream, writes the answer to it, and returns.
//
//nolint:staticcheck // SA1019, see Front
func (k *Connection) Serve(answer func(*Stream)) {
	f := k.front
	c := &connection{front: f, answer: answer, quiet: make(chan struct{})}
	f.server.ServeConn(k.conn, &http2.ServeConnOpts{BaseConfig: f.base, Handler: c})
	k.guard.end(f.config.StallTimeout)
	c.finish()
}

// Leave tells the client that its connection takes no new requests (GOAWAY): one that is on its way is answered if it comes before that is said, or else the client knows by
// the last stream's number that nobody has looked at it. The connection is closed when the requests that it has have ended, a second later or when the client does so, or later
// when the client has taken what the kernel holds of their answers (see linger). A client without a request that is amid a frame when that is to be said, and two seconds later
// still, is not told: its connection is closed. Leave does not wait for any of that. It returns false where the client has not begun to speak HTTP/2 yet, which then cannot be told anything.
func (k *Connection) Leave() bool { return k.guard.part() }

// Spoken reports whether the client has begun to speak HTTP/2, and so can be told to go.
func (k *Connection) Spoken() bool { return k.guard.parting.spoken.Load() }

// Drain tells every client that its connection takes no new requests (GOAWAY). Each is closed when the requests that it has have ended, as with Leave.
func (f *Front) Drain() {
	f.drains.Store(true)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = f.base.Shutdown(ended) // it only passes the word on: there is nothing of its own to wait for
}

// reached is called once for each connection, when Drain can reach it from now on: one that came too late for it is told here. That walks along all
// connections, since x/net has no other way, so nothing that every one of them comes to while the front drains may call it.
func (f *Front) reached() {
	if f.drains.Load() {
		f.Drain()
	}
}

// complaints makes events of the lines that x/net writes. They are about what clients do, who must not fill a log with it.
type complaints struct{ log zerolog.Logger }

func (c complaints) Write(line []byte) (int, error) {
	c.log.Debug().Bytes("error", line).Msg("HTTP/2")
	return len(line), nil
}
