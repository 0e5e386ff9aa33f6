package proxy

import (
	"github.com/valyala/fasthttp"
)

// allowedMethods is the field Allow of a 405.
const allowedMethods = "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"

// answerOptions answers a request that is for the proxy itself: OPTIONS of "*",
// or with Max-Forwards: 0 (RFC 9110, sections 7.6.2 and 9.3.7).
func (x *exchange) answerOptions() (next bool) {
	resp := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(resp)
	x.event.status = fasthttp.StatusOK
	x.closeClient = x.closeClient || !x.body.whole()
	return x.answerOurselves(resp)
}

// refuse answers with a failure of our own. When a part of an answer is out
// already, all that is left is to cut the connection.
func (x *exchange) refuse(f failure) (next bool) {
	x.event.failure = f.reason
	if x.headSent {
		x.event.status = x.resp.Status
		x.abort()
		return false
	}
	x.event.status = f.status
	if f.losesPlace() || !x.body.whole() {
		x.closeClient = true // where the next request begins is not known
	}
	resp := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(resp)
	resp.SetStatusCode(f.status)
	resp.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	if f.retryAfter {
		resp.Header.Set(fasthttp.HeaderRetryAfter, "1")
	}
	if f.status == fasthttp.StatusMethodNotAllowed {
		resp.Header.Set(fasthttp.HeaderAllow, allowedMethods)
	}
	x.s.routing.Load().Pages.write(resp, f.sentence)
	return x.answerOurselves(resp)
}

// answerOurselves sends resp, which no backend had a part in, as the whole
// answer. What the connection needs said is added here.
func (x *exchange) answerOurselves(resp *fasthttp.Response) (next bool) {
	body := resp.Body()
	resp.Header.SetContentLength(len(body)) // of a HEAD's answer too (RFC 9110, section 9.3.2)
	x.borrowBuffer()
	x.settleClientConnection()
	switch {
	case x.closeClient:
		resp.Header.SetConnectionClose()
	case x.req.Minor == 0:
		resp.Header.Set(fasthttp.HeaderConnection, "keep-alive")
	}
	if hsts := x.hsts(); hsts != "" {
		resp.Header.Set(fasthttp.HeaderStrictTransportSecurity, hsts)
	}
	x.out = resp.Header.AppendBytes(x.out[:0])
	if string(x.req.Method) != fasthttp.MethodHead {
		x.out = append(x.out, body...)
	}
	return x.finish()
}
