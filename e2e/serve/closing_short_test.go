//go:build !soak

package serve

import "time"

// closingFor is how long TestKeepAliveEndsAtEachPOST goes on; `make soak` gives it minutes.
const closingFor = 8 * time.Second
