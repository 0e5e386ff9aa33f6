package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// newDemoCommand returns "rehydra demo".
func newDemoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Run proxy, store and sample backends in one process",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("cannot run the demo: it is not linked in")
		},
	}
}
