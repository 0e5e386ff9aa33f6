package sessiontier

import (
	"math"
	"time"
)

// maxRelative is the longest time that memcached reads as "from now", in seconds; above it, it reads a point in time.
const maxRelative = 30 * 24 * 60 * 60

// expiration is the expiry time to send to memcached so that a value lives for at least life, counted in memcached's own whole
// seconds; 0 or less: no limit. Up to 30 days it is relative, so that a proxy's wall clock plays no part. Longer lives must be sent
// as a point in time and are as right as this clock; beyond 2106, where memcached's field ends, there is no limit.
func expiration(life time.Duration, now time.Time) int32 {
	if life <= 0 {
		return 0
	}
	seconds := int64((life-1)/time.Second) + 1
	if seconds <= maxRelative {
		return int32(seconds)
	}
	at := now.Unix() + seconds
	if at > math.MaxUint32 {
		return 0
	}
	return int32(uint32(at)) // the protocol's field is unsigned, the library's is not
}

// lifeOf is how long a copy is kept for a session's time to live. memcached counts in ticks of a second, so that a value which is
// to live n seconds may go after n-1: one more second keeps the promise. It is not longer than that: a copy that outlived its
// session would bring it back.
func lifeOf(ttl time.Duration) time.Duration {
	if ttl <= 0 || ttl > math.MaxInt64-2*time.Second {
		return 0
	}
	return (ttl - 1).Truncate(time.Second) + 2*time.Second
}
