package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// newServeCommand returns "rehydra serve --config FILE".
func newServeCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Run the proxy",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if _, _, err := LoadConfig(path); err != nil {
				return err
			}
			return errors.New("cannot serve: the proxy is not linked in")
		},
	}
	addConfigFlag(cmd, &path)
	return cmd
}
