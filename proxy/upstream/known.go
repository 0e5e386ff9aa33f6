package upstream

import "strings"

const known = "known to be out: "

// ReportKnown says that the backend was found to be out before this process began, by the one that it takes the place of, and why. It is checked at
// once.
func (b *Backend) ReportKnown(reason string) {
	if b.shared.up.Load() {
		b.goOut(0, known+strings.TrimPrefix(reason, known), nil, true)
	}
}
