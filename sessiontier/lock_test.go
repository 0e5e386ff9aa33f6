package sessiontier

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// eachLockStore runs a test with two tiers on one memcached, and with one that keeps everything itself, as both.
func eachLockStore(t *testing.T, test func(t *testing.T, a, b proxy)) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		p := openTier(t, nil, nil)
		test(t, p, p)
	})
	t.Run("memcached", func(t *testing.T) {
		t.Parallel()
		servers := startServers(t, 2)
		test(t, openTier(t, servers, nil), openTier(t, servers, nil))
	})
}

func (p proxy) mustLock(t *testing.T, id string, life time.Duration) *Lock {
	t.Helper()
	l, err := p.Lock(ctxFor(t, patience), "shop", id, life)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// brief is how long a lock is waited for that is held all the while; its holder must have been heard of by then.
const brief = 2 * time.Second

func (p proxy) wantLock(t *testing.T, id string, wait time.Duration, want error) {
	t.Helper()
	begun := time.Now()
	l, err := p.Lock(ctxFor(t, wait), "shop", id, time.Minute)
	if err == nil {
		mustUnlock(t, l)
	}
	if !errors.Is(err, want) {
		t.Fatalf("Lock: error %v, want %v", err, want)
	}
	if took := time.Since(begun); errors.Is(want, ErrLocked) && took < wait {
		t.Errorf("Lock gave up after %v of %v", took, wait)
	}
}

func mustUnlock(t *testing.T, l *Lock) {
	t.Helper()
	if err := l.Unlock(ctxFor(t, 5*time.Second)); err != nil {
		t.Error(err)
	}
}

// wantNoGates checks that nothing is kept of locks that nobody wants any more.
func (p proxy) wantNoGates(t *testing.T) {
	t.Helper()
	p.gates.mu.Lock()
	defer p.gates.mu.Unlock()
	if n := len(p.gates.byKey); n != 0 {
		t.Errorf("%d gates are left", n)
	}
}

func TestLockExcludes(t *testing.T) {
	t.Parallel()
	eachLockStore(t, func(t *testing.T, a, b proxy) {
		const each, times = 4, 10
		var inside, total int // guarded by the lock alone: the race detector and the count both tell
		var all sync.WaitGroup
		for _, p := range []proxy{a, b} {
			for range each {
				all.Go(func() {
					for range times {
						l, err := p.Lock(ctxFor(t, patience), "shop", "A", time.Minute)
						if err != nil {
							t.Error(err)
							return
						}
						if inside++; inside != 1 {
							t.Errorf("%d holders at once", inside)
						}
						total++
						inside--
						mustUnlock(t, l)
					}
				})
			}
		}
		all.Wait()
		if want := 2 * each * times; total != want {
			t.Errorf("locked %d times, want %d", total, want)
		}
		a.wantNoGates(t)
		b.wantNoGates(t)
	})
}

func TestLockHasOneHolder(t *testing.T) {
	t.Parallel()
	eachLockStore(t, func(t *testing.T, a, b proxy) {
		l := a.mustLock(t, "A", time.Minute)
		b.wantLock(t, "A", brief, ErrLocked)
		a.wantLock(t, "A", brief, ErrLocked)
		mustUnlock(t, b.mustLock(t, "B", time.Minute)) // another session
		other, err := b.Lock(ctxFor(t, patience), "another pool", "A", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		mustUnlock(t, other)
		mustUnlock(t, l)
		mustUnlock(t, b.mustLock(t, "A", time.Minute))
		if _, err := a.Lock(t.Context(), "shop", "a b", time.Minute); !errors.Is(err, ErrBadKey) {
			t.Errorf("Lock of a bad id: %v", err)
		}
		a.wantNoGates(t)
		b.wantNoGates(t)
	})
}

// A holder that died is waited for until its lock expires; when it comes back late it does not take the lock from the next.
func TestLockExpires(t *testing.T) {
	t.Parallel()
	eachLockStore(t, func(t *testing.T, a, b proxy) {
		dead := a.mustLock(t, "A", time.Second)
		next := b.mustLock(t, "A", time.Minute)
		mustUnlock(t, dead)
		a.wantLock(t, "A", brief, ErrLocked)
		mustUnlock(t, next)
		a.wantLock(t, "A", 10*time.Second, nil)
		a.wantNoGates(t)
	})
}

// Those who wait in one process get the lock in their order.
func TestLockIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openTier(t, nil, nil)
		first := p.mustLock(t, "A", time.Minute)
		const waiting = 5
		order := make(chan int, waiting)
		var all sync.WaitGroup
		for i := range waiting {
			all.Go(func() {
				l := p.mustLock(t, "A", time.Minute)
				order <- i // before the next one may come
				mustUnlock(t, l)
			})
			synctest.Wait()
		}
		mustUnlock(t, first)
		all.Wait()
		for want := range waiting {
			if got := <-order; got != want {
				t.Errorf("waiter %d had its turn, want %d", got, want)
			}
		}
		p.wantNoGates(t)
	})
}

func TestLockWithoutNodes(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	a, b := openTier(t, servers, nil), openTier(t, servers, nil)
	first, second := "", ""
	for _, id := range []string{"A", "B", "C", "D", "E", "F", "G", "H"} { // one that lives on each node
		if k := (Key{Pool: "shop", BaseID: id}); a.rank(k.lockKey())[0] == 0 {
			first = id
		} else {
			second = id
		}
	}
	lost := a.mustLock(t, first, time.Minute)
	kept := a.mustLock(t, second, time.Minute)
	servers[0].kill()
	// The node that held it is gone, and the lock with it: the next node stands in.
	l := b.mustLock(t, first, time.Minute)
	a.wantLock(t, first, brief, ErrLocked)
	b.wantLock(t, second, brief, ErrLocked)
	mustUnlock(t, l)
	mustUnlock(t, kept)
	if err := lost.Unlock(ctxFor(t, 5*time.Second)); err == nil {
		t.Error("Unlock on a node that is gone: no error")
	}
	servers[1].kill()
	a.wantLock(t, first, time.Minute, ErrUnavailable) // and not ErrLocked when its time is over
	a.wantNoGates(t)
	b.wantNoGates(t)
}

// A connection that was made anew voids tokens, not locks.
func TestUnlockOnANewConnection(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 1)
	a, b := openTier(t, servers, nil), openTier(t, servers, nil)
	l := a.mustLock(t, "A", time.Minute)
	s := a.nodes[0].store.(*memcachedStore)
	s.drop(s.current.Load())
	mustUnlock(t, l)
	mustUnlock(t, b.mustLock(t, "A", time.Minute))
	again := a.mustLock(t, "A", time.Minute)
	s.drop(s.current.Load())
	servers[0].kill()
	servers[0].start()
	b.waitNode(t, 0, true)
	eventually(t, "the lock of a server that began anew is had", func() bool {
		l, err := b.Lock(ctxFor(t, patience), "shop", "A", time.Minute)
		if err == nil {
			mustUnlock(t, l)
		}
		return err == nil
	})
	eventually(t, "it is given back all the same", func() bool { return again.Unlock(ctxFor(t, patience)) == nil })
}
