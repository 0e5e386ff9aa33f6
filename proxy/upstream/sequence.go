package upstream

// maxSequence bounds a turn sequence. Weights that need more are scaled down, which rounds their ratios.
const maxSequence = 4096

// sequence returns the order in which the members of a tier take turns: each index as often as its weight says, spread
// as evenly as smooth weighted round robin does (weights 5,1,1: 0 0 1 0 2 0 0). Computed once per change of state, so that
// taking a turn is one atomic addition.
func sequence(weights []int) []uint16 {
	weights = reduce(weights)
	total := 0
	for _, w := range weights {
		total += w
	}
	credit := make([]int, len(weights))
	out := make([]uint16, 0, total)
	if total == len(weights) { // all alike: in order, which the rest finds too, in quadratic time
		for i := range weights {
			out = append(out, uint16(i))
		}
		return out
	}
	for range total {
		best := 0
		for i, w := range weights {
			credit[i] += w
			if credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= total
		out = append(out, uint16(best))
	}
	return out
}

// reduce divides by the greatest common divisor, then scales down to maxSequence turns, never below one turn each.
func reduce(weights []int) []int {
	divisor, total := 0, 0
	for _, w := range weights {
		divisor = gcd(divisor, w)
		total += w
	}
	if divisor == 0 {
		return weights
	}
	out := make([]int, len(weights))
	total /= divisor
	for i, w := range weights {
		out[i] = w / divisor
		if total > maxSequence {
			out[i] = max(1, int(int64(out[i])*maxSequence/int64(total)))
		}
	}
	return out
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
