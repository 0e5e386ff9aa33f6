package tomcat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"rehydra/e2e/harness/filelock"
)

// Release is one published Tomcat.
type Release struct {
	Version string // such as "10.1.59"
	sha256  string // of the distribution's tar.gz
	jakarta bool   // speaks jakarta.servlet, not javax.servlet
}

// copyGoal is the Maven goal that downloads one artifact.
const copyGoal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"

// The releases that the adapter is tested with in full: the newest of each branch that it is for.
var (
	Tomcat7  = Release{"7.0.109", "ebfeb051e6da24bce583a4105439bfdafefdc7c5bdd642db2ab07e056211cb31", false}
	Tomcat8  = Release{"8.5.100", "163abe51289dd09dc375791888d6f2d5508c06050548dc4fc7700251f4bebaca", false}
	Tomcat9  = Release{"9.0.117", "f74a0b061e2b0068ec2a17a5e01c250851f6f30f362c8127209a2a6ef7952b29", false}
	Tomcat10 = Release{"10.1.59", "15e435e8ecafd30e500dec7cd30fc289aed4cd8743db14d55024896be77d9241", true}
	Tomcat11 = Release{"11.0.24", "10efed90bf330114af66279e43dcf211ecfcf7b88e618757954ac88329600cba", true}
)

// Releases returns every release above, oldest first.
func Releases() []Release { return []Release{Tomcat7, Tomcat8, Tomcat9, Tomcat10, Tomcat11} }

// The oldest releases that the adapter is for: 7.0.53, before which it cannot work, and else the first of each branch that Maven Central has a
// distribution of, milestones left out.
var oldest = []Release{
	{"7.0.53", "f5e79d70ca7962d11abfc753e47b68a11fdfb4a409e76e2b7bd0a945f80f87c9", false},
	{"8.5.0", "b5385ef102253cc96919b2e5cd0010f65495479d6ef32baf5379fa79e8c81800", false},
	{"9.0.1", "976d9aa996fc34d387ef8de87eed79c5f20c0679b76c1a1fcf331eaa7cdf758f", false},
	{"10.1.1", "db82e7308a1f16ecdd23a3a2949b0f052c46beb0e6f869386affb3d4e840fc7d", true},
	{"11.0.1", "7e2470ac429434534910940e77d04c6d4c47e3a83d7130128be4d091d8d2ee68", true},
}

// tooOld is the newest release that the adapter refuses.
var tooOld = Release{"7.0.52", "f5f3c2c8f9946bf24445d2da14b3c2b8dc848622ef07c3cda14f486435d27fb0", false}

// Oldest returns the oldest release of each branch that the adapter is for, oldest first.
func Oldest() []Release { return slices.Clone(oldest) }

// HasTrailers reports whether this Tomcat's responses can end with trailer fields (Servlet 4).
func (r Release) HasTrailers() bool { return !r.of("7.0") && !r.of("8.5") }

// HasRenew reports whether applications can renew a session's id themselves (Servlet 3.1).
func (r Release) HasRenew() bool { return !r.of("7.0") }

// of reports whether this is a release of a branch, such as "8.5".
func (r Release) of(branch string) bool { return strings.HasPrefix(r.Version, branch+".") }

func (r Release) namespace() string {
	if r.jakarta {
		return "jakarta"
	}
	return "javax"
}

// Fetch returns the directory of the unpacked distribution. The first call for a release downloads it with Maven, checks
// its SHA-256 and unpacks it below .cache at the module's root; processes that do so at the same time wait for each other.
func Fetch(ctx context.Context, r Release) (home string, err error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	cache := filepath.Join(root, ".cache", "tomcat")
	home = filepath.Join(cache, "apache-tomcat-"+r.Version)
	unlock, err := filelock.Lock(filepath.Join(cache, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(home); err == nil {
		return home, nil
	}
	archive := filepath.Join(cache, "tomcat-"+r.Version+".tar.gz")
	if err := r.verify(archive); err != nil {
		if err := r.download(ctx, cache); err != nil {
			return "", err
		}
		if err := r.verify(archive); err != nil {
			return "", err
		}
	}
	unpacked, err := os.MkdirTemp(cache, "unpack-")
	if err != nil {
		return "", fmt.Errorf("cannot unpack Tomcat %q: %w", r.Version, err)
	}
	defer os.RemoveAll(unpacked)
	if err := run(ctx, cache, "tar", "-xzf", archive, "-C", unpacked); err != nil {
		return "", fmt.Errorf("cannot unpack Tomcat %q: %w", r.Version, err)
	}
	// Renamed only now: a directory that is there is complete.
	if err := os.Rename(filepath.Join(unpacked, filepath.Base(home)), home); err != nil {
		return "", fmt.Errorf("cannot unpack Tomcat %q: %w", r.Version, err)
	}
	return home, nil
}

func (r Release) download(ctx context.Context, dir string) error {
	err := run(ctx, dir, "mvn", "-q", "-B", copyGoal, "-Dartifact=org.apache.tomcat:tomcat:"+r.Version+":tar.gz",
		"-DoutputDirectory="+dir, "-Dmdep.overWriteReleases=true")
	if err != nil {
		return fmt.Errorf("cannot download Tomcat %q: %w", r.Version, err)
	}
	return nil
}

// verify compares the archive's SHA-256 with the one that is written down here.
func (r Release) verify(archive string) error {
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("cannot verify Tomcat %q: %w", r.Version, err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return fmt.Errorf("cannot verify Tomcat %q: %w", r.Version, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != r.sha256 {
		return fmt.Errorf("cannot verify Tomcat %q: its SHA-256 is %s, want %s", r.Version, got, r.sha256)
	}
	return nil
}

// run runs a command to its end; what it printed is part of the error.
func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// moduleRoot is the directory that holds go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("cannot find the module's root: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("cannot find the module's root: no go.mod above the working directory")
		}
		dir = parent
	}
}
