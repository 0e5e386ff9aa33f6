package failover

import (
	"net/url"
	"strings"
	"testing"

	"rehydra/e2e/harness"
	"rehydra/e2e/tomcat"
)

func walkBasic(t *testing.T, c *cluster) {
	u := c.user(t)
	u.get(tomcat.Basic + "/session?op=touch") // Tomcat keeps the login in a session that is there already
	u.basic = true
	before := u.get(tomcat.Basic + "/secure/page.jsp")
	loggedIn(t, before)
	c.kill(t, before.Values["node"], func() {
		u.basic = false // it is the session that knows the user
		after := u.get(tomcat.Basic + "/session?op=touch")
		u.same(after, before)
		u.at(after, harness.OtherOf(before.Values["node"]))
		after = u.get(tomcat.Basic + "/secure/page.jsp")
		loggedIn(t, after)
		if after.Values["visits"] != "2" {
			t.Errorf("this is visit %q, wanted 2", after.Values["visits"])
		}
	})
}

func walkForm(t *testing.T, c *cluster) {
	u := c.user(t)
	asked := u.get(tomcat.Form + "/secure/page.jsp?from=here")
	if !strings.Contains(asked.text, "j_username") {
		t.Fatalf("wanted the login form:\n%s", asked.text)
	}
	// The node dies between the form and its answer: the request that waits for
	// the login is in the session.
	node := u.nodeOfCookie(tomcat.Form)
	var before page
	c.kill(t, node, func() {
		before = u.do("POST", tomcat.Form+"/secure/j_security_check", url.Values{"j_username": {tomcat.User}, "j_password": {tomcat.Password}})
		loggedIn(t, before)
		if before.Values["query"] != "from=here" {
			t.Errorf("after the login the query is %q, wanted from=here", before.Values["query"])
		}
	})
	c.kill(t, before.Values["node"], func() {
		after := u.get(tomcat.Form + "/secure/page.jsp")
		loggedIn(t, after)
		u.same(after, before)
		u.at(after, harness.OtherOf(before.Values["node"]))
		if after.Values["visits"] != "2" {
			t.Errorf("this is visit %q, wanted 2", after.Values["visits"])
		}
	})
}

// nodeOfCookie is the route in the session cookie of a context.
func (u *user) nodeOfCookie(context string) string {
	u.t.Helper()
	at, err := url.Parse(u.base + context + "/")
	if err != nil {
		u.t.Fatal(err)
	}
	for _, cookie := range u.client.Jar.Cookies(at) {
		if cookie.Name == "JSESSIONID" {
			_, route, _ := strings.Cut(cookie.Value, ".")
			return route
		}
	}
	u.t.Fatalf("no session cookie for %s", context)
	return ""
}

func loggedIn(t *testing.T, p page) {
	t.Helper()
	if p.status != 200 || p.Values["user"] != tomcat.User || p.Values["customer"] != "true" {
		t.Fatalf("wanted the page of %s, got %d:\n%s", tomcat.User, p.status, p.text)
	}
}
