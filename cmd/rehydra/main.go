// Command rehydra is a load balancer for servlet containers with a session tier: it keeps a copy of every session, and
// hands it to another backend when the one that held it is gone.
//
// Exit codes: 0 done, 1 failed, 2 bad usage or configuration.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	zerolog.TimeFieldFormat = logTimeFormat // the library has no other place for it; set before anything runs
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run runs one command line and returns its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	started := false
	root := newRootCommand(&started)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, err)
	var problems Problems
	if errors.As(err, &problems) {
		return exitUsage
	}
	if !started {
		fmt.Fprintln(stderr, "See rehydra --help.")
		return exitUsage
	}
	return exitFailed
}

// newRootCommand returns "rehydra" with its subcommands. *started becomes true once one of them runs: an error before
// that is one of the command line.
func newRootCommand(started *bool) *cobra.Command {
	root := &cobra.Command{
		Use:           "rehydra",
		Short:         "A load balancer whose sessions outlive their servers",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("a command is missing: serve, check, demo, session or version")
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	for _, cmd := range []*cobra.Command{newServeCommand(), newCheckCommand(), newDemoCommand(), newKeygenCommand(), newSessionCommand(), newVersionCommand()} {
		runCommand := cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*started = true
			return runCommand(cmd, args)
		}
		root.AddCommand(cmd)
	}
	return root
}
