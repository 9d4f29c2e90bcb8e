package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// progress shows how far Releases are: in place on a terminal, elsewhere a line for each change.
type progress struct {
	sh      *shell
	out     io.Writer
	columns func() int        // of the terminal; nil: there is none
	printed map[string]string // by key, what the last line said
	drawn   int               // lines on the terminal
}

func newProgress(sh *shell, out io.Writer) *progress {
	return &progress{sh: sh, out: out, columns: sh.columns, printed: map[string]string{}}
}

// stage is a line of progress. live changes by itself, and is no reason to print a line again.
type stage struct {
	key, text, live string
	look            look
}

// show takes what the Releases are now.
func (p *progress) show(items []fleetv1.Release) {
	if p.columns != nil {
		p.draw(items)
		return
	}
	for i := range items {
		for _, s := range stages(p.sh, &items[i], 0) {
			if p.printed[s.key] != s.text {
				p.printed[s.key] = s.text
				fmt.Fprintln(p.out, p.sh.paint(s.look, s.text))
			}
		}
	}
}

// tick draws again, for the clock.
func (p *progress) tick(items []fleetv1.Release) {
	if p.columns != nil {
		p.draw(items)
	}
}

// say writes a line above what is drawn.
func (p *progress) say(text string) {
	p.erase()
	caution(p.out, "%s", text)
}

// close leaves what was drawn where it is.
func (p *progress) close() { p.drawn = 0 }

// clip keeps at most n characters.
func clip(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}

func (p *progress) erase() {
	if p.drawn > 0 {
		fmt.Fprintf(p.out, "\x1b[%dA\x1b[J", p.drawn)
	}
	p.drawn = 0
}

// draw replaces what was drawn. A line is cut at the terminal's edge: one that wraps could not be erased.
func (p *progress) draw(items []fleetv1.Release) {
	var lines []string
	for i := range items {
		for _, s := range stages(p.sh, &items[i], max(3, maxDrawn/len(items))) {
			lines = append(lines, p.sh.paint(s.look, clip(sentence("  ", s.text, s.live), max(20, p.columns()-1))))
		}
	}
	p.erase()
	fmt.Fprintln(p.out, strings.Join(lines, "\n"))
	p.drawn = len(lines)
}

// maxDrawn is how many clusters are drawn one by one; of the others there is a count.
const maxDrawn = 12

// stages are the lines of a Release: itself, at most so many of its clusters, and what it waits for. With 0
// they are those of a log: every cluster whose turn has come.
func stages(sh *shell, r *fleetv1.Release, most int) []stage {
	env := r.Spec.Environment
	head := fmt.Sprintf("%s: %s %s", env, r.Spec.Artifact, phase(r))
	if r.Status.Wave != "" && !r.Status.Phase.Final() {
		head += ", wave " + r.Status.Wave
	}
	counts := ""
	if n := r.Status.Clusters.Total; n > 0 {
		counts = fmt.Sprintf("%d/%d healthy", r.Status.Clusters.Available, n)
	}
	out := []stage{{key: r.Name, text: head, live: sentence("  ", counts, age(sh.now(), r.CreationTimestamp.Time)), look: phaseLook(phase(r))}}
	left := map[fleetv1.TargetState]int{}
	for _, t := range byUrgency(r.Status.Targets, most) {
		switch {
		case most == 0 && (t.State == fleetv1.TargetWaiting || t.State == ""):
		case most > 0 && len(out) > most:
			left[t.State]++
		default:
			out = append(out, targetStage(sh, r, t))
		}
	}
	if len(left) > 0 {
		out = append(out, stage{key: r.Name + " left", text: "  and " + counted(left), look: faint})
	}
	if why, command := blocked(sh, r); why != "" {
		text := "► " + env + " waits: " + oneLine(why)
		if command != "" && !strings.Contains(why, command) {
			text += "; what ends it: " + command
		}
		out = append(out, stage{key: r.Name + " waits", text: text, look: warn})
	}
	return out
}

// byUrgency puts first what needs eyes, where not all clusters are drawn.
func byUrgency(targets []fleetv1.Target, most int) []fleetv1.Target {
	if len(targets) <= most || most == 0 {
		return targets
	}
	order := []fleetv1.TargetState{fleetv1.TargetFailed, fleetv1.TargetUnknown, fleetv1.TargetRollingOut, fleetv1.TargetMoving, fleetv1.TargetRolledBack,
		fleetv1.TargetWaiting, fleetv1.TargetAvailable}
	out := slices.Clone(targets)
	slices.SortStableFunc(out, func(a, b fleetv1.Target) int {
		return cmp.Compare(slices.Index(order, a.State), slices.Index(order, b.State))
	})
	return out
}

// counted says how many are in which state: "12 Waiting, 3 Available".
func counted(states map[fleetv1.TargetState]int) string {
	var parts []string
	for state, n := range states {
		parts = append(parts, fmt.Sprintf("%d %s", n, state))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func targetStage(sh *shell, r *fleetv1.Release, t fleetv1.Target) stage {
	glyph, look := "◐", warn
	switch t.State {
	case fleetv1.TargetAvailable:
		glyph, look = "✔", good
	case fleetv1.TargetFailed:
		glyph, look = "✗", bad
	case fleetv1.TargetUnknown:
		glyph = "⚠"
	case fleetv1.TargetWaiting, "":
		glyph, look = "·", faint
	case fleetv1.TargetRolledBack:
		glyph = "↩"
	}
	text := fmt.Sprintf("  %s %s %s", glyph, t.Cluster, cmp.Or(t.State, fleetv1.TargetWaiting))
	live := ""
	switch {
	case t.State == fleetv1.TargetAvailable && t.AvailableAt != nil && t.MovedAt != nil:
		text += " after " + age(t.AvailableAt.Time, t.MovedAt.Time)
	case t.State == fleetv1.TargetRolledBack && t.Previous != "":
		text += " to " + t.Previous
	case t.State == fleetv1.TargetWaiting && t.Wave != "":
		text += " for wave " + t.Wave
	case t.MovedAt != nil:
		live = age(sh.now(), t.MovedAt.Time)
	}
	if why := sentence(": ", t.Reason, oneLine(t.Message)); why != "" {
		text += ": " + why
	}
	return stage{key: r.Name + "/" + t.Cluster, text: clean(text), live: live, look: look}
}

// blocked says what a Release waits for that is not a cluster, and the command that ends the wait; "" for
// none.
func blocked(sh *shell, r *fleetv1.Release) (why, command string) {
	if r.Status.Phase.Final() {
		return "", ""
	}
	if r.Spec.Suspend {
		return "it is suspended", fmt.Sprintf(`kubectl -n %s patch release %s --type merge -p '{"spec":{"suspend":false}}'`, r.Namespace, r.Name)
	}
	_, reason, message := obstacle(r)
	message = cmp.Or(message, reason)
	edit := "kubectl edit environment " + r.Spec.Environment
	switch reason {
	case fleetv1.ReasonApprovalMissing:
		return message, fmt.Sprintf("%s approve %s", sh.name, releaseName(r))
	case fleetv1.ReasonPromotionSoaking:
		return message, edit + " (spec.promotesFrom.healthyFor), or time"
	case fleetv1.ReasonFrozen:
		return message, edit + " (spec.freezes), or time"
	case fleetv1.ReasonWaveSoaking:
		return message + until(sh, r.Status.SoakUntil), edit + " (spec.waves), or time"
	case fleetv1.ReasonArtifactsAway, fleetv1.ReasonClusterUnavailable:
		return message, ""
	}
	if r.Status.SoakUntil != nil {
		return fmt.Sprintf("wave %s soaks%s", r.Status.Wave, until(sh, r.Status.SoakUntil)), edit + " (spec.waves), or time"
	}
	return "", ""
}

func until(sh *shell, at *metav1.Time) string {
	if at == nil {
		return ""
	}
	return " until " + at.In(sh.zone).Format(time.RFC3339)
}
