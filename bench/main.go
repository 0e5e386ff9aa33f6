// Command bench measures Rehydra side by side with its peers, in one run and on one machine.
//
// All proxies stand ready at the same time, before the same backends and with the same work to do (sticky routing, an
// access log, the usual forwarded fields). Rounds alternate between them, so that whatever else happens on the machine
// happens to all; what is reported is the median of the ratios of neighbouring rounds. README.md says how to read it.
//
// The load generator and the backends are processes of their own (this program again, with a subcommand), so that what
// the kernel accounts to a proxy is the proxy's alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run dispatches to a helper process's part, or runs the benchmark.
func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "backend":
			return runBackend(ctx, args[1:], out)
		case "load":
			return runLoad(ctx, args[1:], out)
		case "nethttp":
			return runNetHTTP(ctx, args[1:], out)
		case forwarderName:
			return runForwarder(ctx, args[1:], out)
		}
	}
	plan, err := parsePlan(args)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if err := raiseLimit(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, plan.limit())
	defer cancel()
	report, err := plan.measure(ctx, out)
	if err != nil {
		return err
	}
	_, err = out.Write(append([]byte("\n"), report.markdown()...))
	return errors.Join(err, report.failures())
}

// raiseLimit lets this process and those that it starts open as many files as they may: ten thousand connections are some.
func raiseLimit() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("cannot read the limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("cannot raise the limit of open files: %w", err)
	}
	return nil
}
