package proxy

import (
	"strconv"

	"rehydra/proxy/http1"
)

// via is what we add to Via: the protocol version spoken with the sender, and
// who we are (RFC 9110, section 7.6.3).
var via = [3]string{"Via: 1.0 rehydra\r\n", "Via: 1.1 rehydra\r\n", "Via: 2.0 rehydra\r\n"}

// appendRequestHead appends the head for the backend: the client's fields
// without those that end here, then ours. whole says that the body is known and
// goes out with the head.
func (x *exchange) appendRequestHead(dst []byte, whole bool) []byte {
	req := &x.req
	dst = append(dst, req.Method...)
	dst = append(dst, ' ')
	dst = append(dst, req.Target...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	if len(req.Authority) > 0 {
		dst = append(dst, req.Authority...)
	} else {
		dst = append(dst, x.event.backend.Address()...) // HTTP/1.0 without Host
	}
	dst = append(dst, "\r\n"...)
	for i := range req.Fields {
		if f := &req.Fields[i]; x.forwards(f) {
			dst = http1.AppendField(dst, f.Name, f.Value)
		}
	}
	dst = append(dst, via[x.spoken()]...)
	dst = x.appendOrigin(dst)
	dst = x.plan.AppendFields(dst)
	dst = x.appendRequestFraming(dst, whole)
	if req.Upgrade != nil {
		dst = append(dst, "Connection: Upgrade\r\n"...)
		dst = http1.AppendField(dst, "Upgrade", req.Upgrade)
	}
	return append(dst, "\r\n"...)
}

// forwards reports whether a field of the client goes on to the backend as it is.
func (x *exchange) forwards(f *http1.Field) bool {
	switch f.Known {
	case http1.Other:
		return !x.req.IsHopByHop(f)
	case http1.Host, http1.ContentLength, http1.TransferEncoding, http1.Expect, http1.Trailer:
		return false // written anew, or their subject is not forwarded
	case http1.Forwarded, http1.XForwardedFor, http1.XRealIP, http1.RehydraForeign, http1.Underscore:
		return false // only we may say these
	case http1.XForwardedProto, http1.XForwardedHost, http1.XForwardedOther:
		return x.origin.believed // also where Connection names it: a client would have put it there
	case http1.MaxForwards:
		return x.req.MaxForwards < 0
	}
	return !x.req.IsHopByHop(f)
}

func (x *exchange) appendRequestFraming(dst []byte, whole bool) []byte {
	req := &x.req
	switch {
	case whole && (len(x.body.kept) > 0 || req.Framing != http1.FramingNone || req.ContentLength == 0):
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(x.body.kept)), 10)
		dst = append(dst, "\r\n"...)
	case whole:
	case req.Framing == http1.FramingLength:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, req.ContentLength, 10)
		dst = append(dst, "\r\n"...)
	default:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	if x.body.expects {
		dst = append(dst, "Expect: 100-continue\r\n"...)
	}
	if req.MaxForwards > 0 {
		dst = append(dst, "Max-Forwards: "...)
		dst = strconv.AppendInt(dst, req.MaxForwards-1, 10)
		dst = append(dst, "\r\n"...)
	}
	return dst
}
