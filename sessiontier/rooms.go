package sessiontier

import "sync"

// rooms lends room for the copies of states, which is given back when a copy has been sent. Room that nobody needs goes with the garbage.
type rooms struct{ pool sync.Pool }

// mostRoom is the largest room that is kept, in bytes: a copy up to there is one that goes out in one piece with others.
const mostRoom = copyUpTo

func (r *rooms) get() *[]byte {
	if room, ok := r.pool.Get().(*[]byte); ok {
		return room
	}
	return new([]byte)
}

func (r *rooms) put(room *[]byte) {
	if cap(*room) <= mostRoom {
		r.pool.Put(room)
	}
}
