package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// writePIDFile puts the id of this process into a file, which a reader finds whole at any time.
func writePIDFile(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return fmt.Errorf("cannot write the PID file %q: %w", path, err)
	}
	_, err = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("cannot write the PID file %q: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// removePIDFile removes the file if it holds the id of this process: after a hand-over it is the next one's.
func removePIDFile(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the PID file %q: %w", path, err)
	}
	if strings.TrimSpace(string(text)) != strconv.Itoa(os.Getpid()) {
		return nil
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("cannot remove the PID file %q: %w", path, err)
	}
	return nil
}
