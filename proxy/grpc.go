package proxy

import "github.com/valyala/fasthttp"

// refuseGRPC answers a gRPC request, which this proxy cannot pass on: backends are spoken to in HTTP/1.1. It says so in gRPC's own terms, since a
// gRPC client makes an unknown error of any status but 200: UNIMPLEMENTED (12), without a message. gRPC-Web is HTTP/1.1 and passes.
func (x *exchange) refuseGRPC() (next bool) {
	x.event.failure = "grpc"
	x.event.status = fasthttp.StatusOK
	x.closeClient = x.closeClient || !x.body.whole()
	resp := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(resp)
	resp.Header.SetContentType("application/grpc")
	resp.Header.Set("Grpc-Status", "12")
	resp.Header.Set("Grpc-Message", "gRPC is not supported by this proxy")
	return x.answerOurselves(resp)
}
