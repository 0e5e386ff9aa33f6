package upstream

import "time"

// keeping is what was seen of how long a backend keeps an idle connection. It bounds the age at which a connection may be used for a
// request that cannot be sent twice: a backend that closes at that very moment leaves nobody able to say what became of it.
//
// Nothing is believed that was not seen: until an idle connection has grown older than some age, no such request goes out on one of that
// age. The list's oldest connection shows it, which nobody takes while younger ones are there.
type keeping struct {
	seen     time.Duration // the greatest age at which a connection was still open
	closed   time.Duration // the least age at which the backend closed one lately
	closedAt time.Time
}

// closingHolds is how long a close counts: a backend closes also for other reasons than age, and one of them must not make every POST
// pay for a connection for ever.
const closingHolds = time.Minute

// open notes that a connection was open at an age.
func (k *keeping) open(age time.Duration) { k.seen = max(k.seen, age) }

// close notes that the backend closed a connection at an age.
func (k *keeping) close(age time.Duration, now time.Time) {
	k.seen = min(k.seen, age)
	if age < k.closed || now.Sub(k.closedAt) > closingHolds {
		k.closed, k.closedAt = age, now
	}
}

// sweepTime is what a server that closes old connections now and then, as Tomcat does once a second, may keep one longer than it has to: the
// next one may be closed at an age that is less by that much.
const sweepTime = 2 * time.Second

// safe is the age below which the backend surely keeps a connection: half of what was seen, since both sides' clocks begin at their own
// moment and a loaded machine may need long from the look to the write, and less by a sweep.
func (k *keeping) safe(now time.Time) time.Duration {
	age := k.seen
	if now.Sub(k.closedAt) <= closingHolds {
		age = min(age, k.closed)
	}
	return max(min(age/2, age-sweepTime), 0)
}
