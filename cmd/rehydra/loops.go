package main

import (
	"context"
	"net"
	"runtime"

	"rehydra/proxy/eventloop"
)

// openLoops makes an event loop for each core that may be used. Their threads are in the kernel as often as not, so Go's scheduler is given one more than
// it would have for whatever else is to be run, until closeLoops. Where the system has none, each connection has a goroutine of its own.
func (p *program) openLoops() {
	cores := runtime.GOMAXPROCS(0)
	loops, err := eventloop.New(cores)
	if err != nil {
		p.log.Warn().Err(err).Msg("each connection has a goroutine of its own")
		return
	}
	p.loops, p.cores = loops, cores
	runtime.GOMAXPROCS(cores + 1)
}

// closeLoops is the end of openLoops.
func (p *program) closeLoops() {
	if p.loops != nil {
		p.loops.Close()
		runtime.GOMAXPROCS(p.cores)
		p.loops = nil
	}
}

// dial connects to a memcached, for the event loops where there are any.
func (p *program) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	tcp, ok := conn.(*net.TCPConn)
	if err != nil || !ok || p.loops == nil {
		return conn, err
	}
	return p.loops.Adopt(tcp)
}
