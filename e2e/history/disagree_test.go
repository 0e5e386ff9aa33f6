package history

import (
	"net/http"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// TestProxiesThatDisagree is the shortest schedule in which a session was once read old for ever: one proxy has seen a backend out and takes a
// session away from it, the other has seen nothing and gets a request that still names that backend, and the client's cookie in the end is that of
// the first. For a while after it took a session away a proxy looks again before it believes where that is: the late request comes then, or when nobody doubts
// any more.
func TestProxiesThatDisagree(t *testing.T) {
	for name, wait := range map[string]time.Duration{"at once": 0, "when nobody doubts any more": 3 * time.Second} {
		t.Run(name, func(t *testing.T) { disagree(t, wait) })
	}
}

func disagree(t *testing.T, wait time.Duration) {
	c := newCluster(t)
	a, b := c.proxies[0], c.proxies[1]
	cl := newClient(&users{}, 0)
	defer cl.transport.CloseIdleConnections()
	var begun answer
	var err error
	harness.Eventually(t, "a session begins", func() bool {
		begun, err = cl.send(http.MethodPost, "/increment", "", b.Address())
		return err == nil
	})
	owner := c.backends[begun.cookie[len(begun.cookie)-1]-'1']
	b.Freeze(t)
	owner.Freeze(t)
	a.WaitEvent(t, "the backend is out", harness.Message("backend out"))
	var moved, late answer
	harness.Eventually(t, "the session is at another backend", func() bool {
		moved, err = cl.send(http.MethodGet, "/value", begun.cookie, a.Address())
		return err == nil && moved.cookie != ""
	})
	if moved.value != 1 || moved.cookie == begun.cookie {
		t.Fatalf("%+v through the other proxy, wanted 1 at another backend", moved)
	}
	if wait > 0 {
		pause(wait)
		for range 2 { // the first of these ends the doubt
			harness.Eventually(t, "what is read where it went", func() bool {
				got, err := cl.send(http.MethodGet, "/value", moved.cookie, a.Address())
				if err == nil && got.value != 1 {
					t.Errorf("%+v, wanted 1", got)
				}
				return err == nil
			})
		}
	}
	owner.Thaw(t)
	b.Thaw(t)

	// A request that was sent before that answer came. The first try is refused: b knows the session where it was, and sends it there.
	harness.Eventually(t, "the late increment is acknowledged", func() bool {
		late, err = cl.send(http.MethodPost, "/increment", begun.cookie, b.Address())
		return err == nil
	})
	harness.Eventually(t, "what is read", func() bool {
		got, err := cl.send(http.MethodGet, "/value", moved.cookie, a.Address())
		if err == nil && got.value < late.value {
			t.Errorf("%+v was read after %+v was acknowledged", got, late)
		}
		return err == nil
	})
}
