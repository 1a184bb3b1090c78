package overload

const (
	// most is the highest share. Some have to pass, to show when it is over.
	most = 0.95
	// up is how much a share grows in each interval in which the value exceeds its bound by a tenth or
	// more, and in proportion below, at least by leastUp.
	up      = 0.10
	leastUp = 0.01
	tenth   = 0.1
	// down is how much it falls when the value is well below its bound, and slowlyDown when it is
	// just below.
	down       = 0.05
	slowlyDown = 0.01
	// patience is how many intervals in a row have to be beyond the bound before anything is refused.
	patience = 3
	// Below these parts of the bound, values are well below. Memory comes back slowly,
	// and what is just below its bound may stay there; waiting to run ends with the load.
	memoryEase = 0.95
	queueEase  = 0.8
)

// controller moves the share of refusals by one value.
type controller struct {
	ease  float64
	share float64
	over  int // intervals in a row
}

// step moves the share by a value, in parts of its bound.
func (c *controller) step(value float64) {
	switch {
	case value > 1:
		c.over++
		if c.share > 0 || c.over >= patience {
			c.share = min(most, c.share+up*min(1, max(leastUp/up, (value-1)/tenth)))
		}
		return
	case value >= c.ease:
		c.share -= slowlyDown
	default:
		c.share -= down
	}
	c.over = 0
	if c.share < 1e-9 {
		c.share = 0
	}
}
