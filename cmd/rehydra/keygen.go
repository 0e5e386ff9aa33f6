package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"rehydra/sessiontier"
)

// newKeygenCommand returns "rehydra keygen --out FILE".
func newKeygenCommand() *cobra.Command {
	var out, id string
	var add bool
	cmd := &cobra.Command{
		Use:   "keygen --out FILE",
		Short: "Write a key file that seals the copies of sessions",
		Long: "keygen writes a key file for store.seal_key_file, with mode 0600. With --add it puts a new key\n" +
			"behind those of an existing file, where it only reads: the second of the steps by which keys\n" +
			"rotate is to move it to the front, once every proxy has it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if id == "" {
				id = "k" + time.Now().UTC().Format("20060102-150405")
			}
			if err := keygen(out, id, add); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: key %s written\n", out, id)
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the key `FILE`")
	cmd.Flags().StringVar(&id, "id", "", "the key's `ID` (default: from the time)")
	cmd.Flags().BoolVar(&add, "add", false, "add a key to a file that exists")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err) // the flag was defined above
	}
	return cmd
}

// keygen writes a new key to path. An existing file is only ever replaced whole, and only with add.
func keygen(path, id string, add bool) error {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("cannot make a key: %w", err)
	}
	line := fmt.Appendf(nil, "%s %s\n", id, base64.StdEncoding.EncodeToString(secret))
	if !add {
		if _, err := sessiontier.ParseKeyring(line); err != nil {
			return fmt.Errorf("cannot use key id %q: %w", id, err)
		}
		return writeNew(path, line)
	}
	if _, err := sessiontier.LoadKeyring(path); err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot read key file: %w", err)
	}
	if !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}
	text = append(text, line...)
	if _, err := sessiontier.ParseKeyring(text); err != nil {
		return fmt.Errorf("cannot add key %q to %q: %w", id, path, err)
	}
	return replaceFile(path, text)
}

func writeNew(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("cannot write key file %q: it exists; wanted a new file, or --add", path)
	}
	if err != nil {
		return fmt.Errorf("cannot write key file: %w", err)
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close())
}

// replaceFile puts a file with data in the place of path: a reader sees the old one or the new one.
func replaceFile(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("cannot write key file: %w", err)
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot write key file %q: %w", path, err), os.Remove(file.Name()))
	}
	return nil
}
