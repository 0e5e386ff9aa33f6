//go:build !unfenced

package sessiontier

// fencing says that a former owner's late saves are refused. Only the tag unfenced turns it off: for the test that shows that the
// history checker of e2e/history finds what happens then.
const fencing = true
