//go:build unfenced

package sessiontier

const fencing = false
