//go:build soak

package upgrade

import "time"

// What TestNothingIsLost does in `make soak`.
const (
	lossTime    = 60 * time.Second
	lossReloads = 20
)
