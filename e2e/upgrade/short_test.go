//go:build !soak

package upgrade

import "time"

// What TestNothingIsLost does in `make test`.
const (
	lossTime    = 12 * time.Second
	lossReloads = 8
)
