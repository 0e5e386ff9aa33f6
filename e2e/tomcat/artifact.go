package tomcat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"rehydra/e2e/harness/filelock"
)

// Artifact is a jar of Maven Central, for Config.Lib.
type Artifact struct {
	Coordinates string // group:name:version
	SHA256      string
}

// Fetch returns the path of the jar. The first call downloads it with Maven below .cache at the module's root.
func (a Artifact) Fetch(ctx context.Context) (path string, err error) {
	parts := strings.Split(a.Coordinates, ":")
	if len(parts) != 3 {
		return "", fmt.Errorf("cannot download %q: wanted group:name:version", a.Coordinates)
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, ".cache", "tomcat", "jars")
	unlock, err := filelock.Lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	path = filepath.Join(dir, parts[1]+"-"+parts[2]+".jar")
	if a.verify(path) == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot download %q: %w", a.Coordinates, err)
	}
	err = run(ctx, dir, "mvn", "-q", "-B", copyGoal, "-Dartifact="+a.Coordinates, "-DoutputDirectory="+dir, "-Dmdep.overWriteReleases=true")
	if err != nil {
		return "", fmt.Errorf("cannot download %q: %w", a.Coordinates, err)
	}
	return path, a.verify(path)
}

// verify compares the jar's SHA-256 with the one that is written down.
func (a Artifact) verify(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot verify %q: %w", a.Coordinates, err)
	}
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != a.SHA256 {
		return fmt.Errorf("cannot verify %q: its SHA-256 is %s, want %s", a.Coordinates, got, a.SHA256)
	}
	return nil
}
