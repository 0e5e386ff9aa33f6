package protocol

import (
	"fmt"
	"testing"

	"rehydra/e2e/harness"
)

// A backend that asks for the session and then breaks off has answered nothing: the log does not time the answer of the last attempt by an earlier one.
func TestTimeOfAnAttemptAfterA428(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		b := startBackend(t, "node1", func(q *call) {
			if q.have() == "ask" {
				q.reply(reply{status: "428 Precondition Required", fields: []string{fmt.Sprintf(`Rehydra-Need: id="%s"; app="localhost/"`, q.id())}})
				return
			}
			_ = q.conn.Close() // without an answer
		})
		g := newRigOn(t, nodes, []*backend{b})
		if r := g.send(query{method: "POST", target: "/", cookie: "TIMED.node1"}); r.status < 500 {
			t.Fatalf("status %d, wanted an error of the backend's", r.status)
		}
		event := g.proxy.WaitEvent(t, "the request's line", harness.Message("request"))
		if took, ok := event["backend_us"]; ok {
			t.Errorf("backend_us is %v, wanted none: %v", took, event)
		}
	})
}
