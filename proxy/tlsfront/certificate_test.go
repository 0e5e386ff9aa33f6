package tlsfront_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rehydra/e2e/harness"
	"rehydra/proxy/tlsfront"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLoad(t *testing.T) {
	authority := harness.NewAuthority(t)
	shop := authority.Issue(t, harness.Wanted{Names: []string{"Shop.test", "*.shop.test", "192.0.2.1"}})
	other := authority.Issue(t, harness.Wanted{Names: []string{"other.test"}})
	expiring := authority.Intermediate(t, time.Now().Add(-time.Minute))
	expired := authority.Issue(t, harness.Wanted{Names: []string{"old.test"}, Link: expiring})
	broken := filepath.Join(t.TempDir(), "broken.pem")
	if err := os.WriteFile(broken, []byte("-----BEGIN CERTIFICATE-----\nnonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, certificate, key string
		want                   []string // parts of the error; none: no error
	}{
		{"a pair", shop.Certificate, shop.Key, nil},
		{"a pair whose chain has ended", expired.Certificate, expired.Key, nil},
		{"no file", "/nowhere/cert.pem", shop.Key, []string{`cannot read certificate "/nowhere/cert.pem": no such file`}},
		{"no key file", shop.Certificate, "/nowhere/key.pem", []string{`cannot read key "/nowhere/key.pem": no such file`}},
		{"a folder", t.TempDir(), shop.Key, []string{"cannot read certificate", "it is no file"}},
		{"not PEM", broken, shop.Key, []string{`cannot use certificate "` + broken, "failed to find any PEM data"}},
		{"a key of another", shop.Certificate, other.Key, []string{`cannot use certificate "` + shop.Certificate, other.Key, "private key does not match public key"}},
		{"the wrong way round", shop.Key, shop.Certificate, []string{"cannot use certificate"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := tlsfront.Load(test.certificate, test.key)
			if len(test.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatalf("it was taken, wanted an error with %q", test.want)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %q, wanted %q in it", err, part)
				}
			}
			if key, _ := os.ReadFile(test.key); len(key) > 200 && strings.Contains(err.Error(), string(key[40:80])) {
				t.Error("the error shows the key")
			}
		})
	}
}

func TestLoadedNamesAndTimes(t *testing.T) {
	authority := harness.NewAuthority(t)
	ends := time.Now().Add(3 * time.Hour).Truncate(time.Second)
	link := authority.Intermediate(t, ends)
	files := authority.Issue(t, harness.Wanted{Names: []string{"Shop.test", "*.Shop.test", "192.0.2.1"}, Link: link})
	c, err := tlsfront.Load(files.Certificate, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Names, []string{"shop.test", "*.shop.test"}) || c.File != files.Certificate {
		t.Errorf("names %q of %q", c.Names, c.File)
	}
	if !c.Ends.Equal(ends) {
		t.Errorf("it ends at %v, wanted the end of the chain's first to end, %v", c.Ends, ends)
	}
	if !c.Begins.Equal(files.Pair.Leaf.NotBefore) {
		t.Errorf("it begins at %v, wanted the begin of the chain's last to begin, %v", c.Begins, files.Pair.Leaf.NotBefore)
	}
}

func TestLoadAuthorities(t *testing.T) {
	authority := harness.NewAuthority(t)
	if _, err := tlsfront.LoadAuthorities(authority.File); err != nil {
		t.Error(err)
	}
	key := authority.Issue(t, harness.Wanted{Names: []string{"x.test"}}).Key
	for file, want := range map[string]string{"/nowhere": "cannot read authorities", key: "holds no certificate"} {
		if _, err := tlsfront.LoadAuthorities(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, wanted %q", file, err, want)
		}
	}
}
