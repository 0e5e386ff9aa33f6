package tomcat

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rehydra/e2e/harness/filelock"
)

// adapterJar returns the adapter for this release, built with Maven if the jar is missing or older than its sources.
func adapterJar(ctx context.Context, r Release) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	unlock, err := filelock.Lock(filepath.Join(root, ".cache", "tomcat", "adapter.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	project := filepath.Join(root, "adapters", "tomcat")
	pattern := filepath.Join(project, r.namespace(), "target", "rehydra-tomcat-"+r.namespace()+"-*.jar")
	jar, built := newest(pattern)
	changed, err := lastChange(project)
	if err != nil {
		return "", err
	}
	if jar == "" || built.Before(changed) {
		if err := run(ctx, project, "mvn", "-q", "-B", "package", "-DskipTests"); err != nil {
			return "", fmt.Errorf("cannot build the adapter: %w", err)
		}
		jar, _ = newest(pattern)
	}
	if jar == "" {
		return "", fmt.Errorf("cannot build the adapter: Maven left no %s", pattern)
	}
	return jar, nil
}

func newest(pattern string) (path string, changed time.Time) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return "", time.Time{}
	}
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil && info.ModTime().After(changed) {
			path, changed = p, info.ModTime()
		}
	}
	return path, changed
}

// lastChange is when a source of the project changed last.
func lastChange(project string) (time.Time, error) {
	var last time.Time
	err := filepath.WalkDir(project, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "target" {
				return fs.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(path); ext != ".java" && ext != ".xml" || strings.Contains(path, "src/test/") {
			return nil
		}
		info, err := d.Info()
		if err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("cannot look at the adapter's sources: %w", err)
	}
	return last, nil
}
