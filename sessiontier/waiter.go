package sessiontier

// Waiter is who waits without a goroutine that could be blocked, as what runs on an event loop does.
type Waiter interface {
	// Wait returns when Wake is called, or has been since the last Wait.
	Wait()
	// Wake ends a Wait. It may go on with what waited before it returns: the caller should hold no lock, and have done its own work.
	Wake()
	// Block is called before the goroutine is blocked.
	Block()
}

// block tells by, if there is anybody, that the goroutine may be blocked from now on.
func block(by Waiter) {
	if by != nil {
		by.Block()
	}
}
