package tlsfront

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

const (
	// challengeProtocol is what an authority offers by ALPN, and nothing else, in a handshake that is a challenge (RFC 8737).
	challengeProtocol = acme.ALPNProto
	// challengePath is where it asks by HTTP (RFC 8555, section 8.3).
	challengePath = "/.well-known/acme-challenge/"

	firstWait  = 5 * time.Second // how long a client waits for the very first certificate of a name
	lookAgain  = time.Minute     // how often a renewed certificate is looked for
	retryFirst = 2 * time.Minute // after a failure; the manager answers none sooner than after one minute
	retryMost  = time.Hour
)

// ACMEConfig says which certificates an ACME server (RFC 8555) issues to us.
type ACMEConfig struct {
	Domains     []string       // host names without wildcard, each gets a certificate of its own
	Email       string         // for the authority's messages; "" = none
	Directory   string         // URL of the server's directory
	Authorities *x509.CertPool // who may have signed the server's own certificate; nil: the system's
	Cache       string         // folder for keys and certificates; made if need be, readable by its owner only
}

// ACME gets certificates for some domains and renews them in time, by tls-alpn-01 and, where that fails, by http-01. Failures
// are logged and tried again; a certificate that is there stays in use meanwhile.
type ACME struct {
	manager *autocert.Manager
	http01  http.Handler
	log     zerolog.Logger
	domains map[string]*issued // not changed

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// issued is the certificate of one domain.
type issued struct {
	current atomic.Pointer[tls.Certificate]
	tried   chan struct{} // closed after the first attempt
}

// NewACME returns an ACME that does nothing before Start.
func NewACME(cfg ACMEConfig, log zerolog.Logger) *ACME {
	a := &ACME{log: log, domains: make(map[string]*issued, len(cfg.Domains))}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	for _, domain := range cfg.Domains {
		a.domains[strings.ToLower(domain)] = &issued{tried: make(chan struct{})}
	}
	transport := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		TLSClientConfig:   &tls.Config{RootCAs: cfg.Authorities, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true, // weeks lie between two renewals
		ForceAttemptHTTP2: true,
	}
	a.manager = &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      autocert.DirCache(cfg.Cache),
		HostPolicy: a.policy,
		Email:      cfg.Email,
		Client: &acme.Client{
			DirectoryURL: cfg.Directory, UserAgent: "rehydra",
			HTTPClient: &http.Client{Timeout: time.Minute, Transport: bound{a.ctx, transport}},
		},
	}
	a.http01 = a.manager.HTTPHandler(http.NotFoundHandler())
	return a
}

func (a *ACME) policy(_ context.Context, host string) error {
	if a.domains[strings.ToLower(host)] == nil {
		return fmt.Errorf("cannot get a certificate for %q: wanted one of the configured domains", host)
	}
	return nil
}

// Start begins to get certificates. Challenges come back to our own listeners, which must accept by then.
func (a *ACME) Start() {
	for domain, is := range a.domains {
		a.wg.Go(func() { a.keep(domain, is) })
	}
}

// Close ends what Start began. Requests to the server that are under way fail.
func (a *ACME) Close() {
	a.cancel()
	a.wg.Wait()
}

// keep gets the certificate of one domain, and takes over each renewal of it.
func (a *ACME) keep(domain string, is *issued) {
	retry := retryFirst
	var once sync.Once
	for a.ctx.Err() == nil {
		wait := lookAgain
		cert, err := a.manager.GetCertificate(askFor(domain))
		switch {
		case a.ctx.Err() != nil:
		case err == nil:
			if before := is.current.Swap(cert); before == nil || !before.Leaf.Equal(cert.Leaf) {
				a.log.Info().Str("domain", domain).Time("ends", cert.Leaf.NotAfter).Msg("certificate issued")
			}
			retry = retryFirst
		default:
			a.log.Error().Err(err).Str("domain", domain).Stringer("retry", retry).Msg("no certificate issued")
			wait, retry = retry, min(2*retry, retryMost)
		}
		once.Do(func() { close(is.tried) })
		select {
		case <-a.ctx.Done():
		case <-time.After(wait):
		}
	}
}

// askFor is what a client says that can use an ECDSA key, as all of today can.
func askFor(domain string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{ServerName: domain, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
}

// certificate returns the certificate for a name, in lower case; nil if there is none. While the very first attempt goes on it waits a while, and not
// longer than ctx.
func (a *ACME) certificate(ctx context.Context, name string) *tls.Certificate {
	is := a.domains[name]
	if is == nil {
		return nil
	}
	if cert := is.current.Load(); cert != nil {
		return cert
	}
	patience := time.NewTimer(firstWait)
	defer patience.Stop()
	select {
	case <-is.tried:
	case <-patience.C:
	case <-ctx.Done():
	case <-a.ctx.Done():
	}
	return is.current.Load()
}

// Ends returns when the certificates of the domains end, without those that were not issued yet.
func (a *ACME) Ends() map[string]time.Time {
	ends := make(map[string]time.Time, len(a.domains))
	for domain, is := range a.domains {
		if cert := is.current.Load(); cert != nil {
			ends[domain] = cert.Leaf.NotAfter
		}
	}
	return ends
}

// isChallenge reports whether a handshake is an authority's challenge.
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == challengeProtocol
}

// challenge returns the certificate that answers a challenge.
func (a *ACME) challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if a.domains[strings.ToLower(hello.ServerName)] == nil {
		return nil, errors.New("a challenge for none of our domains")
	}
	return a.manager.GetCertificate(hello)
}

// Answer returns the answer to an http-01 challenge: to a GET of this path for this host, without its port. ok is false when it is
// none of ours, and the request is one as any.
func (a *ACME) Answer(host, path string) (answer []byte, ok bool) {
	if !strings.HasPrefix(path, challengePath) || a.domains[strings.ToLower(host)] == nil {
		return nil, false
	}
	req, err := http.NewRequestWithContext(a.ctx, http.MethodGet, "http://"+host+path, nil)
	if err != nil {
		return nil, false // a path that is no URL is no challenge
	}
	w := recorder{header: make(http.Header), status: http.StatusOK}
	a.http01.ServeHTTP(&w, req)
	return w.body.Bytes(), w.status == http.StatusOK
}

// recorder takes an answer of a http.Handler.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// bound makes the requests of an autocert.Manager end with a context. The manager has no end of its own: what it does later, by its
// timers, fails at once.
type bound struct {
	stop      context.Context
	transport *http.Transport
}

func (b bound) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := b.stop.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	unhook := context.AfterFunc(b.stop, func() { cancel(b.stop.Err()) })
	resp, err := b.transport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		unhook()
		cancel(nil)
		return nil, err
	}
	resp.Body = &boundBody{resp.Body, func() { unhook(); cancel(nil) }}
	return resp, nil
}

// boundBody ends the request with its body.
type boundBody struct {
	io.ReadCloser
	end func()
}

func (b *boundBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
