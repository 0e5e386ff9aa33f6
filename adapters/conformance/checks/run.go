package checks

import (
	"context"
	"fmt"
	"net/http"
)

// Check is one rule of the protocol, put to the test.
type Check struct {
	Name string // area/what, stable
	Rule string // what is wanted, with the section
	run  func(p *probe)
}

// Result is a check's outcome. Reason is empty when it passed; NotApplicable means that the application said (by 501) that
// its container lacks what the check is about.
type Result struct {
	Check
	Reason        string
	NotApplicable bool
}

// Passed reports whether the check held.
func (r Result) Passed() bool { return r.Reason == "" && !r.NotApplicable }

// All returns every check, in the order in which they run.
func All() []Check {
	var all []Check
	for _, area := range []func() []Check{tokenChecks, sessionChecks, needChecks, haveChecks, restoreChecks, severalChecks,
		lateChecks, endChecks, operationChecks, requestChecks} {
		all = append(all, area()...)
	}
	return all
}

// Run runs the checks one after the other and tells each one's outcome as it is known. The error says that the target
// cannot be tested at all: no answer, or not the test application.
func Run(ctx context.Context, t Target, checks []Check, tell func(Result)) error {
	t = t.withDefaults()
	transport, operations := newTransport(), newTransport()
	defer transport.CloseIdleConnections()
	defer operations.CloseIdleConnections()
	r, err := send(ctx, transport, t, call{query: do("show")})
	if err != nil {
		return fmt.Errorf("cannot test %q: %w", t.URL, err)
	}
	if r.status != http.StatusOK {
		return fmt.Errorf("cannot test %q: status %d given, wanted the test application's 200", t.URL, r.status)
	}
	if _, err := parsePage(r.body); err != nil {
		return fmt.Errorf("cannot test %q: %w", t.URL, err)
	}
	for _, c := range checks {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		tell(runOne(&probe{ctx: ctx, target: t, transport: transport, operations: operations}, c))
	}
	return nil
}

func runOne(p *probe, c Check) (result Result) {
	result.Check = c
	defer func() {
		switch v := recover().(type) {
		case nil:
		case verdict:
			result.Reason, result.NotApplicable = v.reason, v.na
		default:
			panic(v)
		}
	}()
	c.run(p)
	return result
}
