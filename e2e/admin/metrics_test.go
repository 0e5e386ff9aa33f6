package admin

import (
	"net/http"
	"strings"
	"testing"

	"rehydra/e2e/harness"
)

// TestMetricsFollowALife: each number moves when what it counts happens, and only then.
func TestMetricsFollowALife(t *testing.T) {
	c := startCluster(t, 2)
	p := harness.Start(t, c.config)
	for name, v := range p.Metrics(t) {
		if strings.HasPrefix(name, "rehydra_session") && v != 0 {
			t.Errorf("%s is %v at the start, wanted 0", name, v)
		}
		if !strings.HasPrefix(name, "rehydra_") {
			t.Errorf("%s does not begin with rehydra_", name)
		}
	}
	u := newUser(t, p)
	u.count(1)
	u.count(2)
	first := u.route()
	c.backends[first].down()
	u.count(3)
	if status, _ := u.get("/status/503"); status != http.StatusServiceUnavailable {
		t.Fatalf("status %d, wanted the backend's 503", status)
	}
	u.get("/shop/end")
	want(t, p, map[string]float64{
		"rehydra_session_saves_total":                                     3,
		"rehydra_session_save_seconds_count":                              3,
		`rehydra_session_save_seconds_bucket{le="+Inf"}`:                  3,
		"rehydra_session_restores_total":                                  1,
		"rehydra_session_restore_seconds_count":                           1,
		"rehydra_session_ends_total":                                      1,
		"rehydra_session_lost_total":                                      0,
		"rehydra_session_unprotected_total":                               0,
		"rehydra_session_fenced_total":                                    0,
		"rehydra_session_conflicts_total":                                 0,
		"rehydra_log_lines_lost_total":                                    0,
		"rehydra_client_connections":                                      1,
		`rehydra_requests_total{class="2xx",pool="shop"}`:                 4,
		`rehydra_requests_total{class="5xx",pool="shop"}`:                 1,
		`rehydra_requests_total{class="4xx",pool=""}`:                     0,
		`rehydra_backend_up{backend="` + first + `",pool="shop"}`:         0,
		`rehydra_backend_outs_total{backend="` + first + `",pool="shop"}`: 1,
		`rehydra_backend_up{backend="` + other(first) + `",pool="shop"}`:  1,
		`rehydra_store_node_up{node="n1"}`:                                1,
		`rehydra_store_node_breaker{node="n1"}`:                           0,
		`rehydra_store_node_errors_total{node="n1"}`:                      0,
		`rehydra_store_node_connections_in_use{node="n1"}`:                0,
	})
	now := p.Metrics(t)
	for _, name := range []string{"rehydra_session_save_seconds_sum", "rehydra_session_restore_seconds_sum", "rehydra_session_saved_bytes_total",
		"rehydra_process_resident_memory_bytes", "rehydra_goroutines"} {
		if now[name] <= 0 {
			t.Errorf("%s is %v, wanted more than 0", name, now[name])
		}
	}
	if sum := now["rehydra_session_save_seconds_sum"]; sum > 10 {
		t.Errorf("3 saves took %v s", sum)
	}
}

// TestUnprotectedIsSeen: with a node stopped, and then both, what the alerts are written against rises, and says where.
func TestUnprotectedIsSeen(t *testing.T) {
	c := startCluster(t, 2)
	p := harness.Start(t, c.config)
	u := newUser(t, p)
	u.count(1)
	c.nodes[0].Freeze(t)
	u.count(2)
	p.WaitMetric(t, `rehydra_store_node_breaker{node="n1"}`, 2)
	u.count(3)
	got := p.Metrics(t)
	if got["rehydra_session_unprotected_total"] == 0 || got[`rehydra_store_node_up{node="n1"}`] != 0 || got[`rehydra_store_node_errors_total{node="n1"}`] == 0 ||
		got[`rehydra_store_node_outs_total{node="n1"}`] != 1 || got[`rehydra_store_node_outs_total{node="n2"}`] != 0 {
		t.Errorf("a node is stopped: %v", got)
	}
	c.nodes[0].Thaw(t)
	p.WaitMetric(t, `rehydra_store_node_breaker{node="n1"}`, 0)
}

// TestAsyncSavesAreMeasured: the queue's saves count as others do.
func TestAsyncSavesAreMeasured(t *testing.T) {
	c := startCluster(t, 2)
	c.config.Session = append(c.config.Session, `save = "async"`)
	p := harness.Start(t, c.config)
	u := newUser(t, p)
	u.count(1)
	p.WaitMetric(t, "rehydra_session_saves_total", 1)
	want(t, p, map[string]float64{"rehydra_session_save_seconds_count": 1, "rehydra_session_saves_queued": 0, "rehydra_session_saves_dropped_total": 0})
}

// TestRequestsWithoutAPool are counted too, and counters go on over a reload.
func TestRequestsWithoutAPool(t *testing.T) {
	c := startCluster(t, 1)
	p := harness.Start(t, c.config)
	u := newUser(t, p)
	u.count(1)
	status, _ := u.get("/nowhere")
	none := `rehydra_requests_total{class="4xx",pool=""}`
	if status >= 500 {
		none = `rehydra_requests_total{class="5xx",pool=""}`
	}
	want(t, p, map[string]float64{none: 1, `rehydra_requests_total{class="2xx",pool="shop"}`: 1})
	renamed := c.config
	renamed.Pools = append([]harness.Pool{}, c.config.Pools...)
	renamed.Pools[0].Name = "store"
	p.Reload(t, renamed)
	u.get("/shop/count")
	want(t, p, map[string]float64{none: 1, `rehydra_requests_total{class="2xx",pool="shop"}`: 1, `rehydra_requests_total{class="2xx",pool="store"}`: 1})
}

// want compares samples. What a request changes is there when its answer is, but for what is counted at its very end.
func want(t *testing.T, p *harness.Proxy, samples map[string]float64) {
	t.Helper()
	for name, v := range samples {
		var got float64
		harness.Eventually(t, name, func() bool {
			var ok bool
			got, ok = p.Metrics(t)[name]
			if !ok {
				t.Fatalf("no sample %s", name)
			}
			return got >= v
		})
		if got != v {
			t.Errorf("%s is %v, wanted %v", name, got, v)
		}
	}
}
