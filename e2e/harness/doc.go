// Package harness starts the real servers of the end-to-end tests: the built rehydra, and memcached. Each is a process
// of its own on a free port of the loopback interface, ended by its process id when the test ends.
//
//	func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
//
//	nodes := []*harness.Memcached{harness.StartMemcached(t), harness.StartMemcached(t)}
//	p := harness.Start(t, harness.Config{Store: harness.Nodes(nodes...), Pools: ...})
//	p.Address()            // where clients go
//	p.Metric(t, "rehydra_session_saves_total")
//	p.WaitEvent(t, harness.Message("backend out"))
//
// Backends that a test plays itself, byte for byte or by net/http, are Serve and ServeHTTP.
//
// A server that is missing fails the test: nothing is skipped, nothing is played by a mock.
package harness
