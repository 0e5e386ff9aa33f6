package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// runDrain takes syslog datagrams and writes each as a line to the file named by its argument, as a syslog daemon would.
// It prints the address it listens on and works until ctx ends.
func runDrain(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("drain got %d arguments, wanted a file", len(args))
	}
	file, err := os.OpenFile(args[0], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the log: %w", err)
	}
	defer file.Close()
	var config net.ListenConfig
	packets, err := config.ListenPacket(ctx, "udp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	defer packets.Close()
	if udp, ok := packets.(*net.UDPConn); ok {
		if err := udp.SetReadBuffer(8 << 20); err != nil {
			return fmt.Errorf("cannot widen the socket's buffer: %w", err)
		}
	}
	fmt.Fprintf(out, "listening %s\n", packets.LocalAddr())
	defer context.AfterFunc(ctx, func() { packets.Close() })()
	return drain(ctx, packets, file)
}

// drain copies datagrams as lines, and flushes whenever none has come for a tenth of a second.
func drain(ctx context.Context, packets net.PacketConn, to io.Writer) error {
	lines := bufio.NewWriterSize(to, 1<<16)
	datagram := make([]byte, 1<<16+1) // the longest, and its line end
	for {
		if err := packets.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil && ctx.Err() == nil {
			return fmt.Errorf("cannot set a deadline: %w", err)
		}
		n, _, err := packets.ReadFrom(datagram[:1<<16])
		switch {
		case err == nil:
			if n > 0 && datagram[n-1] != '\n' {
				datagram[n] = '\n'
				n++
			}
			if _, err := lines.Write(datagram[:n]); err != nil {
				return fmt.Errorf("cannot write the log: %w", err)
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := lines.Flush(); err != nil {
				return fmt.Errorf("cannot write the log: %w", err)
			}
		case ctx.Err() != nil:
			return lines.Flush()
		default:
			return fmt.Errorf("cannot read a datagram: %w", err)
		}
	}
}
