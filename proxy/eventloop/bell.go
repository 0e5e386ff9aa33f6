package eventloop

// Bell lets a worker wait for something else than a connection. The zero value is ready; it must not be copied.
type Bell struct{ side side }

// Wait lets w wait until Ring is called, or has been since the last Wait. No other worker may wait.
func (b *Bell) Wait(w *Worker) {
	w.LetOthers() // who will ring is one of them, most often
	w.yield(&b.side)
}

// Ring ends a Wait. The worker that waited is run by the caller, until it waits again or its job is done: it should be the last that the caller does.
func (b *Bell) Ring() {
	if waiting, ok := b.side.happened(); ok {
		waiting.worker.drive()
	}
}
