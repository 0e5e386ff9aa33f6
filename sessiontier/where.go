package sessiontier

import (
	"context"
	"time"
)

// What a node holds of a session.
const (
	CopyPresent    = "present"
	CopyAbsent     = "absent"
	CopyTombstone  = "tombstone"  // the session ended
	CopyUnreadable = "unreadable" // failed its checks: counts as absent
	CopyUnknown    = "unknown"    // the node does not answer
)

// Copy is what one node holds of a session; never its contents.
type Copy struct {
	Node    string
	State   string // one of the Copy constants
	Newest  bool   // no node holds a newer version
	Version Version
	Owner   string
	Size    int           // bytes as stored
	Age     time.Duration // since this copy was written, by the clock of the proxy that wrote it
	TTL     time.Duration // 0: no limit
}

// Where asks every node what it holds of a session; the nodes come in the order in which they are used for it. A key that cannot
// name a copy has none.
func (t *Tier) Where(ctx context.Context, k Key) []Copy {
	if k.check() != nil {
		return nil
	}
	storeKey := k.storeKey()
	v := t.look(ctx, k, storeKey, t.rank(storeKey))
	now := t.now().UnixMilli()
	copies := make([]Copy, 0, len(v.rank))
	for _, i := range v.rank {
		e := &v.entries[i]
		c := Copy{Node: t.nodes[i].name, Size: e.size}
		switch {
		case e.err != nil:
			c.State = CopyUnknown
		case e.corrupt != nil:
			c.State = CopyUnreadable
		case !e.found:
			c.State = CopyAbsent
		default:
			c.State = CopyPresent
			if e.env.tombstone {
				c.State = CopyTombstone
			}
			c.Version, c.Owner, c.TTL = e.env.version, e.env.owner, e.env.ttl
			c.Age = time.Duration(max(now-e.env.stored, 0)) * time.Millisecond
			c.Newest = e.env.compare(v.highest) == 0
		}
		copies = append(copies, c)
	}
	return copies
}
