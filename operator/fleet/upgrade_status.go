package fleet

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/rings"
	"github.com/fairway-dev/fairway/operator/steps"
)

// upgradeOutcome says how far an upgrade is, and what mends it.
func upgradeOutcome(in rings.Input, d rings.Decision) steps.Outcome {
	outcome := steps.Outcome{State: steps.Working, After: d.After}
	switch d.State {
	case rings.Unknown:
		if in.Target == "" {
			return steps.Previous(fleetv1.ConditionFluxArtifactReady)
		}
		outcome.State, outcome.Reason = steps.Waiting, fleetv1.ReasonEventsUnreachable
		outcome.Message = "nothing can be said of any cluster, and no other one gets Flux " + in.Target + ": " + in.Blind
	case rings.UpToDate:
		outcome.State, outcome.Reason = steps.Done, fleetv1.ReasonUpToDate
		outcome.Message = fmt.Sprintf("nobody waits for Flux %s: %s%s", in.Target, progress(d.Counts), aside(d))
	case rings.Upgrading:
		outcome.Reason = fleetv1.ReasonUpgrading
		outcome.Message = fmt.Sprintf("ring %s gets Flux %s: %s%s", d.Ring, in.Target, progress(d.Counts), aside(d))
	case rings.Soaking:
		outcome.Reason = fleetv1.ReasonSoaking
		outcome.Message = fmt.Sprintf("ring %s has Flux %s, and the next one waits until %s: %s%s",
			d.Ring, in.Target, d.SoakUntil.UTC().Format(time.RFC3339), progress(d.Counts), aside(d))
	case rings.Silent:
		outcome.State, outcome.Reason = steps.Failing, fleetv1.ReasonRingSilent
		outcome.Message = fmt.Sprintf("no cluster of ring %s can be upgraded, so nothing shows that Flux %s works there; "+
			"bring one back, or pin them by spec.flux.version, which leaves them out%s", d.Ring, in.Target, aside(d))
	case rings.Halted:
		outcome.State, outcome.Reason = steps.Failing, fleetv1.ReasonHalted
		outcome.Message = fmt.Sprintf("Flux %s failed on %s: %s: %s; no other cluster gets it (%s); mend the cluster or pin it to another version, "+
			"and set spec.flux.version to one that works%s", in.Target, d.Halt.Cluster, d.Halt.Reason, short(d.Halt.Message), progress(d.Counts), aside(d))
	}
	return outcome
}

func progress(c rings.Counts) string {
	text := fmt.Sprintf("%d have it", c.Upgraded)
	for _, part := range []struct {
		count int
		what  string
	}{{c.Upgrading, "are on the way"}, {c.Failed, "failed"}, {c.Waiting, "wait"}} {
		if part.count > 0 {
			text += fmt.Sprintf(", %d %s", part.count, part.what)
		}
	}
	return text
}

// aside tells of the clusters that the upgrade passes by.
func aside(d rings.Decision) string {
	var text string
	if d.Counts.LeftOut > 0 {
		text = fmt.Sprintf("; %d left out", d.Counts.LeftOut)
	}
	if len(d.Skipped) == 0 {
		return text
	}
	const most = 4
	text += fmt.Sprintf("; %d skipped: %s", len(d.Skipped), short(strings.Join(d.Skipped[:min(len(d.Skipped), most)], ", ")))
	if more := len(d.Skipped) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// short keeps a condition's message readable: what a cluster says can be long, and is said there in full.
func short(text string) string {
	const most = 512
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

func upgradeStatus(in rings.Input, d rings.Decision) *fleetv1.FluxUpgradeStatus {
	out := &fleetv1.FluxUpgradeStatus{
		Target: in.Target, Ring: d.Ring,
		Clusters: fleetv1.UpgradeCounts{
			Upgraded: int32(d.Counts.Upgraded), Upgrading: int32(d.Counts.Upgrading), Failed: int32(d.Counts.Failed),
			Waiting: int32(d.Counts.Waiting), Skipped: int32(d.Counts.Skipped), LeftOut: int32(d.Counts.LeftOut),
		},
	}
	if !d.SoakUntil.IsZero() {
		out.SoakUntil = &metav1.Time{Time: d.SoakUntil}
	}
	if d.Halt != nil {
		out.Halted = &fleetv1.UpgradeHalt{Cluster: d.Halt.Cluster, Reason: d.Halt.Reason, Message: short(d.Halt.Message), Since: metav1.NewTime(d.Halt.Since)}
	}
	return out
}
