package streams

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"testing"

	"rehydra/e2e/harness"
)

// TestEvents: an event reaches the client when it is sent and not when the next one is, by HTTP/1.1 and HTTP/2. When the client goes, the backend
// learns of it.
func TestEvents(t *testing.T) {
	t.Parallel()
	c := start(t)
	for _, major := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP/%d", major), func(t *testing.T) {
			var protocols http.Protocols
			protocols.SetHTTP1(major == 1)
			protocols.SetHTTP2(major == 2)
			transport := &http.Transport{Protocols: &protocols, TLSClientConfig: &tls.Config{RootCAs: c.cert.Pool}}
			defer transport.CloseIdleConnections()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "GET", "https://"+c.Secure()+"/events", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Cookie", "JSESSIONID=ABC.node1")
			b := c.backends[0]
			ended := b.ended.Load()
			resp, err := (&http.Client{Transport: transport}).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.ProtoMajor != major || resp.Header.Get("Content-Type") != "text/event-stream" {
				t.Errorf("got %s, %v", resp.Proto, resp.Header)
			}
			r := bufio.NewReader(resp.Body)
			for n := range 10 {
				if got, want := line(r)+line(r), fmt.Sprintf("data: %d\n\n", n); got != want {
					t.Fatalf("event %d is %q", n, got)
				}
				b.goOn <- struct{}{} // only now may the next be sent
			}
			cancel()
			harness.Eventually(t, "the backend learns that the client is gone", func() bool {
				select {
				case b.goOn <- struct{}{}: // by HTTP/1.1 one more may be needed: a client that has ended its side may still listen
				default:
				}
				return b.ended.Load() > ended
			})
		})
	}
}
