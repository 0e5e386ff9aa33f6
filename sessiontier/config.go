package sessiontier

import (
	"fmt"
	"time"
)

// Kinds of store.
const (
	KindMemcached = "memcached"
	KindEmbedded  = "embedded"
)

// Node is one memcached server.
type Node struct {
	Name    string // part of the rank of every session: a renamed node is another node
	Address string // host:port, or the path of a socket
}

// Config says where copies are kept. Zero values stand for the defaults named.
type Config struct {
	Kind         string        // KindMemcached or KindEmbedded
	Nodes        []Node        // memcached: 1 to 64; embedded: none
	FailoverOnly []string      // names of nodes that are used only when too few others are alive
	Copies       int           // of each session, 1 to the number of nodes; embedded: always 1
	Dial         Dialer        // makes the connections to nodes; nil: package net's
	Timeout      time.Duration // of connecting to a node, and of one exchange; 100 ms
	Retry        time.Duration // between two probes of a node; 1 s
	MaxState     int           // bytes of state that are kept at all; 1,000,000
	Connections  int           // exchanges at once with one node, on few connections that they share; 64

	EmbeddedBytes int64 // memory of the embedded store; 256 MiB

	Keys          *Keyring // that seal copies; nil: a copy is only checksummed
	Sealing       Sealing  // what Keys are for; SealStrict
	CompressAbove int      // bytes of state above which copies are compressed; 0: none is

	QueueLength  int           // sessions that may wait in SaveAsync; 10,000
	QueueWorkers int           // saves of the queue at once; 8
	QueueTimeout time.Duration // for one save of the queue; 2 s

	HealRate int // sessions a second that are looked at to give copies back to nodes that lost them; 0: none

	Now func() time.Time // the wall clock; time.Now

	healSlice int // keys of a node that healing keeps at once; 250,000
}

// How much a tier remembers, in sessions. Each costs a few hundred bytes.
const (
	rememberedHandles = 32768
	rememberedUnknown = 16384
	rememberedEnds    = 65536 // tombstones that wait, for each node
)

func (c Config) withDefaults() Config {
	set(&c.Timeout, 100*time.Millisecond)
	set(&c.Retry, time.Second)
	set(&c.MaxState, 1_000_000)
	set(&c.Connections, 64)
	set(&c.EmbeddedBytes, 256<<20)
	set(&c.QueueLength, 10_000)
	set(&c.QueueWorkers, 8)
	set(&c.QueueTimeout, 2*time.Second)
	set(&c.healSlice, 250_000)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Kind == KindEmbedded {
		c.Copies = 1
	}
	return c
}

func set[T int | int64 | time.Duration](v *T, standard T) {
	if *v == 0 {
		*v = standard
	}
}

// check returns what is wrong first. The command line checks the configuration file itself, with lines and keys; this is for a
// caller's own mistakes.
func (c Config) check() error {
	for name, v := range map[string]int64{"Timeout": int64(c.Timeout), "Retry": int64(c.Retry), "MaxState": int64(c.MaxState),
		"Connections": int64(c.Connections), "EmbeddedBytes": c.EmbeddedBytes, "QueueLength": int64(c.QueueLength),
		"QueueWorkers": int64(c.QueueWorkers), "HealRate": int64(c.HealRate), "QueueTimeout": int64(c.QueueTimeout)} {
		if v < 0 {
			return fmt.Errorf("cannot open session tier: %s is %d, wanted more than 0", name, v)
		}
	}
	switch c.Kind {
	case KindEmbedded:
		if len(c.Nodes) != 0 {
			return fmt.Errorf("cannot open session tier: %d nodes given, wanted none for kind %q", len(c.Nodes), c.Kind)
		}
		return nil
	case KindMemcached:
		return c.checkNodes()
	default:
		return fmt.Errorf("cannot open session tier: kind %q, wanted %q or %q", c.Kind, KindMemcached, KindEmbedded)
	}
}

func (c Config) checkNodes() error {
	if len(c.Nodes) == 0 || len(c.Nodes) > maxNodes {
		return fmt.Errorf("cannot open session tier: %d nodes, wanted 1 to %d", len(c.Nodes), maxNodes)
	}
	if c.Copies < 1 || c.Copies > len(c.Nodes) {
		return fmt.Errorf("cannot open session tier: %d copies, wanted 1 to %d, the number of nodes", c.Copies, len(c.Nodes))
	}
	names := map[string]bool{}
	for i, n := range c.Nodes {
		if n.Name == "" || n.Address == "" || names[n.Name] {
			return fmt.Errorf("cannot open session tier: node %d is %q=%q, wanted a name of its own and an address", i+1, n.Name, n.Address)
		}
		names[n.Name] = true
	}
	for _, f := range c.FailoverOnly {
		if !names[f] {
			return fmt.Errorf("cannot open session tier: fail-over node %q is not one of the nodes", f)
		}
	}
	return nil
}
