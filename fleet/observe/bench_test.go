package observe

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BenchmarkApply measures one change of one object, among 500 others.
func BenchmarkApply(b *testing.B) {
	well := func(rev string) Object {
		return kustomization(rev, rev, condition("Ready", metav1.ConditionTrue, "ReconciliationSucceeded", "", 1))
	}
	for name, pair := range map[string][2]Object{
		"pod ready and not":          {pod("aaaaa", ready(1), app(0, running(1))), pod("aaaaa", unready(1), app(0, running(1)))},
		"pod in a crash loop":        {pod("aaaaa", app(1, backOff, dead(1, 3, 4))), pod("aaaaa", app(2, backOff, dead(2, 30, 31)))},
		"deployment without news":    {deployment(5, 5, 5), deployment(5, 5, 5)},
		"deployment degraded":        {deployment(5, 5, 5), deployment(5, 5, 4)},
		"kustomization to and fro":   {well("main@sha1:a"), well("main@sha1:b")},
		"kustomization without news": {well("main@sha1:a"), well("main@sha1:a")},
	} {
		b.Run(name, func(b *testing.B) {
			o := New(Options{Cluster: "c1"})
			o.Apply(deployment(5, 5, 5), day)
			for i := range 500 {
				o.Apply(pod(fmt.Sprintf("p%04d", i), ready(1), func(p *corev1.Pod) { app(0, running(1))(p) }), day)
			}
			now := day
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now = now.Add(time.Second)
				o.Apply(pair[i%2], now)
			}
		})
	}
}
