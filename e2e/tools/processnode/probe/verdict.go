// Package probe decides and asks what a container's readiness, liveness and startup probes say.
package probe

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Verdict is what a probe says after its thresholds.
type Verdict int

// Unknown is the verdict before the first threshold is reached.
const (
	Unknown Verdict = iota
	Healthy
	Unhealthy
)

// eagerPeriod is how often a probe that has never been good is asked. A kubelet would wait a whole period; a bench that
// waits for readiness wants to know sooner. Only a good answer counts before the period is over: a container has as long
// to start as its probes say.
const eagerPeriod = time.Second

// Counter folds single results into a verdict.
type Counter struct {
	success, failure int32 // thresholds, at least 1
	period           time.Duration
	last             bool
	run              int32     // results in a row that are like the last one
	bad              time.Time // when the last bad result was asked for that counts
	verdict          Verdict
	everGood         bool
}

// NewCounter takes its thresholds from a probe, with the API's defaults where they are unset.
func NewCounter(p *corev1.Probe) *Counter {
	return &Counter{
		success: max(p.SuccessThreshold, 1), failure: defaulted(p.FailureThreshold, 3),
		period: time.Duration(defaulted(p.PeriodSeconds, 10)) * time.Second,
	}
}

// Observe takes the result of a question that was put at a time, and returns the verdict and whether this result made it.
func (c *Counter) Observe(good bool, at time.Time) (v Verdict, changed bool) {
	if !good && c.run > 0 && !c.last && at.Sub(c.bad) < c.period {
		return c.verdict, false
	}
	if c.run > 0 && c.last == good {
		c.run++
	} else {
		c.last, c.run = good, 1
	}
	before := c.verdict
	switch {
	case good && c.run >= c.success:
		c.verdict, c.everGood = Healthy, true
	case !good:
		c.bad = at
		if c.run >= c.failure {
			c.verdict = Unhealthy
		}
	}
	return c.verdict, c.verdict != before
}

// Wait is how long to wait before the next result is asked for.
func (c *Counter) Wait() time.Duration {
	if !c.everGood {
		return min(c.period, eagerPeriod)
	}
	return c.period
}

// Timeout is how long one question may take.
func Timeout(p *corev1.Probe) time.Duration {
	return time.Duration(defaulted(p.TimeoutSeconds, 1)) * time.Second
}

func defaulted(v, unset int32) int32 {
	if v <= 0 {
		return unset
	}
	return v
}
