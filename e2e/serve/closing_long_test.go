//go:build soak

package serve

import "time"

// closingFor is how long TestKeepAliveEndsAtEachPOST goes on.
const closingFor = 3 * time.Minute
