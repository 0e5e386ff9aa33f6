package sessiontier

import "github.com/cespare/xxhash/v2"

// rank is the order in which the nodes are used for one session, as indexes into a tier's nodes: best first, the nodes that are
// for fail-over only after all others.
type rank []uint8

// maxNodes bounds the number of nodes, so that a rank fits into a small array.
const maxNodes = 64

// rankNodes appends the rank of the nodes for a store key to dst. It is rendezvous hashing: each node has a score for each key, so a
// node that is added or removed moves only the sessions that it takes or held. seeds are the hashes of the nodes' names, failover
// says which of them are for fail-over only.
func rankNodes(dst rank, storeKey string, seeds []uint64, failover []bool) rank {
	var scores [maxNodes]uint64
	h := xxhash.Sum64String(storeKey)
	for i := range seeds {
		scores[i] = mix(h ^ seeds[i])
		// Insertion sort: there are few nodes, and it allocates nothing.
		at := len(dst)
		dst = append(dst, 0)
		for at > 0 && before(i, int(dst[at-1]), scores[:], failover) {
			dst[at] = dst[at-1]
			at--
		}
		dst[at] = uint8(i)
	}
	return dst
}

func before(a, b int, scores []uint64, failover []bool) bool {
	if failover[a] != failover[b] {
		return failover[b]
	}
	if scores[a] != scores[b] {
		return scores[a] > scores[b]
	}
	return a < b
}

// mix is the finaliser of splitmix64: each bit of the result depends on each bit of x.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
