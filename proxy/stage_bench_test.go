package proxy

import (
	"io"
	"testing"

	"github.com/rs/zerolog"

	"rehydra/jvmroute"
)

// stages are the steps of a plain request that are this package's own, each with what the ones before it leave.
func stages(tb testing.TB) map[string]func() {
	tb.Helper()
	finder, err := jvmroute.NewFinder("JSESSIONID", "jsessionid")
	if err != nil {
		tb.Fatal(err)
	}
	r := routingOf(tb, "shop")
	r.Finder = finder
	s := NewServer(Limits{HeaderCount: 200}, r, nil, zerolog.Nop())
	x := &exchange{s: s, c: &client{addr: "192.0.2.7"}}
	x.req.MaxFields, x.resp.MaxFields = 200, maxResponseFields
	request := []byte("GET /shop/page?item=17 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
		"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\n" +
		"Cookie: theme=light; JSESSIONID=7F000000000000000000000000000001.node1\r\n\r\n")
	response := []byte("HTTP/1.1 200 \r\nContent-Type: text/html;charset=UTF-8\r\nContent-Length: 1024\r\nDate: Tue, 01 Sep 2026 08:00:00 GMT\r\n\r\n")
	log := NewAccessLog(zerolog.New(io.Discard).With().Timestamp().Logger())
	x.begin()
	if err := x.req.Parse(request); err != nil {
		tb.Fatal(err)
	}
	if err := x.resp.Parse(response, false); err != nil {
		tb.Fatal(err)
	}
	x.arrive()
	x.pool = r.Table.Match(x.req.Authority, x.req.Path)
	x.path = jvmroute.StripPathParameters(nil, x.req.Path)
	x.findSessions(r)
	x.event.backend, x.event.status, x.event.attempts = x.pool.Backends()[0], 200, 1
	buffer := make([]byte, 0, relayBuffer)
	return map[string]func(){
		"Begin": func() {
			method, path, pool := x.req.Method, x.path, x.pool
			x.begin()
			x.req.Method, x.path, x.pool, x.event.backend = method, path, pool, pool.Backends()[0] // the others need them
			x.arrive()
		},
		"FindSessions": func() { x.ids, x.routes = x.ids[:0], x.routes[:0]; x.findSessions(r) },
		"RequestHead":  func() { buffer = x.appendRequestHead(buffer[:0], true) },
		"ResponseHead": func() { x.out = buffer[:0]; x.appendResponseHead() },
		"AccessLog":    func() { log.write(x) },
	}
}

func TestStagesDoNotAllocate(t *testing.T) {
	for name, stage := range stages(t) {
		stage()
		if n := testing.AllocsPerRun(100, stage); n != 0 {
			t.Errorf("%s: %v allocations, wanted none", name, n)
		}
	}
}

func BenchmarkStages(b *testing.B) {
	for name, stage := range stages(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				stage()
			}
		})
	}
}
