package proxy

import (
	"bytes"
	"strconv"

	"github.com/valyala/fasthttp"

	"rehydra/proxy/http1"
)

// challengePath begins the paths that an ACME server asks for over plain HTTP
// (RFC 8555, section 8.3).
const challengePath = "/.well-known/acme-challenge/"

// answerToPlain answers what is asked over plain HTTP and is not for a backend:
// an ACME challenge of ours, and what is to come again by https. answered is
// false for every other request.
func (x *exchange) answerToPlain() (next, answered bool) {
	if x.front.Challenge != nil && bytes.HasPrefix(x.req.Path, []byte(challengePath)) {
		if answer, ok := x.front.Challenge(string(x.host()), string(x.req.Path)); ok {
			return x.answerChallenge(answer), true
		}
		return false, false // it may be for a client of ACME among the backends, which needs it as it is
	}
	if !x.front.Redirect || x.origin.secure {
		return false, false
	}
	return x.redirect(), true
}

func (x *exchange) answerChallenge(answer []byte) (next bool) {
	resp := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(resp)
	x.event.status = fasthttp.StatusOK
	resp.Header.SetContentType("text/plain")
	resp.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	resp.SetBodyRaw(answer)
	x.closeClient = x.closeClient || !x.body.whole()
	return x.answerOurselves(resp)
}

// redirect sends the client to the same URL with https. 301 lets a client make
// a GET of a POST, 308 does not (RFC 9110, sections 15.4.2 and 15.4.9), and is
// unknown to clients from before 2014.
func (x *exchange) redirect() (next bool) {
	resp := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(resp)
	x.event.status = fasthttp.StatusPermanentRedirect
	if method := string(x.req.Method); method == fasthttp.MethodGet || method == fasthttp.MethodHead {
		x.event.status = fasthttp.StatusMovedPermanently
	}
	resp.SetStatusCode(x.event.status)
	resp.Header.SetContentType("text/plain; charset=utf-8")
	resp.Header.SetBytesV(fasthttp.HeaderLocation, x.appendTLSURL(nil))
	resp.SetBodyString("please use https\n")
	x.closeClient = x.closeClient || !x.body.whole()
	return x.answerOurselves(resp)
}

// appendTLSURL appends the URL of the request as it is with https.
func (x *exchange) appendTLSURL(dst []byte) []byte {
	dst = append(dst, "https://"...)
	if host := x.host(); len(host) > 0 {
		dst = append(dst, host...)
	} else { // HTTP/1.0 without Host
		dst = append(dst, hostOf(x.c.raw.LocalAddr())...)
	}
	if port := x.front.RedirectPort; port != 443 {
		dst = append(dst, ':')
		dst = strconv.AppendInt(dst, int64(port), 10)
	}
	return append(dst, x.req.Target...)
}

// host is the host asked for without its port; empty if none was.
func (x *exchange) host() []byte {
	a := x.req.Authority
	if end := bytes.IndexByte(a, ']'); end >= 0 {
		return a[:end+1]
	}
	host, _, _ := bytes.Cut(a, []byte(":"))
	return host
}

// hsts is the value of Strict-Transport-Security for this answer, "" for none:
// it means nothing without TLS (RFC 6797, section 7.2).
func (x *exchange) hsts() string {
	if x.front.HSTS == "" || !x.origin.secure {
		return ""
	}
	return x.front.HSTS
}

// replaces reports whether a backend's field of this name gives way to ours.
func (x *exchange) replaces(name []byte) bool {
	const field = "strict-transport-security"
	return len(name) == len(field) && x.hsts() != "" && http1.EqualFold(name, field)
}
