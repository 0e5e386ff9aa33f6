package failover

import (
	"net/url"
	"strings"
	"testing"

	"rehydra/e2e/harness"
	"rehydra/e2e/tomcat"
)

// TestOldest kills a node under two users on the oldest release of each branch that the adapter is for. One is logged in, one is about to be: what they
// do takes the adapter through all that differs between releases. What a Tomcat lacks would only be noticed when it is called.
func TestOldest(t *testing.T) {
	for _, release := range tomcat.Oldest() {
		t.Run(release.Version, func(t *testing.T) {
			c := start(t, release)
			login := url.Values{"j_username": {tomcat.User}, "j_password": {tomcat.Password}}
			u := c.user(t)
			u.get("/shop/secure/page.jsp")
			loggedIn(t, u.do("POST", "/shop/secure/j_security_check", login))
			u.get("/shop/session?op=append&k=cart&v=tea")
			u.get("/shop/session?op=append&k=cart&v=milk")    // changed in place, read back by Tomcat's own stream
			u.get("/shop/session?op=late&k=shown&v=late")     // changed after the head was sent
			u.get("/shop/later?k=async&v=completed")          // the end of the request is its change
			u.get("/shop/later?k=a&v=b&dispatch=1")           // ... or a dispatch
			u.get("/shop/later?k=flushed&v=too&flush=1")      // ... or comes after the head
			before := u.get("/shop/session?op=set&k=n&v=one") // where the user is
			first := before.Values["node"]
			waiting := c.asksForLogin(t, first)

			c.nodes[first].Kill9()
			after := u.get("/shop/session?op=touch")
			u.same(after, before, "n", "shown", "async", "dispatched", "flushed", "cart")
			for name, want := range map[string]string{"cart": "tea,milk", "shown": "late", "async": "completed", "dispatched": "yes", "flushed": "too"} {
				if got := after.Values[name]; got != want {
					t.Errorf("%s is %q after the fail-over, wanted %q", name, got, want)
				}
			}
			u.at(after, harness.OtherOf(first))
			loggedIn(t, u.get("/shop/secure/page.jsp"))

			in := waiting.do("POST", "/shop/secure/j_security_check", login)
			loggedIn(t, in)
			if in.Values["query"] != "from=here" {
				t.Errorf("after the login the query is %q, wanted from=here", in.Values["query"])
			}
			c.nodes[harness.OtherOf(first)].Stop()
			c.noBadLines(t)
		})
	}
}

// asksForLogin returns a user of this node who has the login form before him.
func (c *cluster) asksForLogin(t *testing.T, node string) *user {
	t.Helper()
	const most = 20
	for range most {
		u := c.user(t)
		if asked := u.get("/shop/secure/page.jsp?from=here"); !strings.Contains(asked.text, "j_username") {
			t.Fatalf("wanted the login form:\n%s", asked.text)
		}
		if u.nodeOfCookie(tomcat.Form) == node {
			return u
		}
	}
	t.Fatalf("none of %d new users came to %s", most, node)
	return nil
}
