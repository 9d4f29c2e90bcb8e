package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/delivery"
	"github.com/fairway-dev/fairway/fleet/view"
)

// ErrNoRelease: no event of such a release was kept.
var ErrNoRelease = errors.New("there is no such release in the history")

// release keeps the newest word on a release and on each of its clusters, in whatever order they come.
// Log lines stay with the event.
func (e *encoder) release(seq int64, ev *event.Event) {
	var p event.Release
	if ev.Payload(&p) != nil || p.Name == "" {
		return // the view says that it refused it
	}
	word, at := releaseWord(seq, ev, &p), ev.Time.UnixMilli()
	failed := int64(0)
	if ev.Type == event.ReleaseFailed || ev.Type == event.ReleaseRolledBack {
		failed = at
	}
	clusters := p.Clusters
	p.Clusters, p.Lines = nil, nil
	detail, err := json.Marshal(p)
	if err != nil { // it was read from JSON
		panic(err)
	}
	e.write(statement{releaseHeard, []any{p.Name, p.Team, p.Service, p.Environment, p.Artifact, millis(p.RequestedAt), at, failed, word, detail}})
	for _, t := range clusters {
		detail, err := json.Marshal(t)
		if err != nil {
			panic(err)
		}
		e.write(statement{targetHeard, []any{p.Name, t.Cluster, word, detail}})
	}
}

// releaseWord orders the events of a release as the view does: what has ended stays so.
func releaseWord(seq int64, ev *event.Event, p *event.Release) string {
	final := 0
	if fleetv1.Phase(p.Phase).Final() {
		final = 1
	}
	return fmt.Sprintf("%d/%020d/%020d", final, max(0, ev.Time.UnixNano()), seq)
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

const (
	releaseHeard = `INSERT INTO releases (name, team, service, environment, artifact, requested, said, failed, word, detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET
detail = iif(excluded.word >= word, excluded.detail, detail), said = iif(excluded.word >= word, excluded.said, said), word = max(word, excluded.word),
failed = iif(failed = 0 OR excluded.failed = 0, max(failed, excluded.failed), min(failed, excluded.failed))`

	targetHeard = `INSERT INTO targets (release, cluster, word, detail) VALUES (?, ?, ?, ?)
ON CONFLICT (release, cluster) DO UPDATE SET detail = iif(excluded.word >= word, excluded.detail, detail), word = max(word, excluded.word)`
)

// kept is a release as the tables have it.
type kept struct {
	state  event.Release // with all its clusters, ordered by id
	said   time.Time
	failed time.Time
}

func (k *kept) rest() rest.Release { return view.RestRelease(k.state, k.state.Clusters, k.said) }

// Releases lists the releases that the filter selects, the newest first, without log lines: all that are kept, a year
// longer than events. Errors: ErrNotOpen, and SQLite's.
func (h *History) Releases(ctx context.Context, q view.ReleaseFilter) ([]rest.Release, error) {
	where := releasesOf(q)
	if !q.Since.IsZero() {
		where.and("(requested >= ? OR said >= ?)", q.Since.UnixMilli(), q.Since.UnixMilli())
	}
	found, err := h.releases(ctx, where)
	if err != nil {
		return nil, err
	}
	out := []rest.Release{}
	for i := range found {
		if q.Phase == "" || q.Phase == found[i].state.Phase {
			out = append(out, found[i].rest())
		}
	}
	return out, nil
}

// Release finds a release by its name, "payments/ledger-7k2x9". Errors: ErrNoRelease, ErrNotOpen, and SQLite's.
func (h *History) Release(ctx context.Context, name string) (rest.Release, error) {
	where := &clause{}
	where.and("name = ?", name)
	found, err := h.releases(ctx, where)
	if err == nil && len(found) == 0 {
		err = ErrNoRelease
	}
	if err != nil {
		return rest.Release{}, err
	}
	return found[0].rest(), nil
}

func releasesOf(q view.ReleaseFilter) *clause {
	c := &clause{}
	c.and("1")
	for _, part := range []struct{ text, value string }{
		{"team = ?", q.Team}, {"service = ?", q.Service}, {"environment = ?", q.Environment},
		{"name IN (SELECT release FROM targets WHERE cluster = ?)", q.Cluster},
	} {
		if part.value != "" {
			c.and(part.text, part.value)
		}
	}
	return c
}

// releases reads the releases and their clusters, the newest first.
func (h *History) releases(ctx context.Context, where *clause) ([]kept, error) {
	f := h.opened()
	if f == nil {
		return nil, ErrNotOpen
	}
	var out []kept
	places := map[string]int{}
	var name string
	var said, failed int64
	var detail []byte
	err := each(ctx, f.read, "SELECT name, said, failed, detail FROM releases WHERE "+where.String()+" ORDER BY requested DESC, name", where.args,
		[]any{&name, &said, &failed, &detail}, func() error {
			k := kept{said: timeOf(said), failed: timeOf(failed)}
			places[name] = len(out)
			out = append(out, k)
			return json.Unmarshal(detail, &out[len(out)-1].state)
		})
	if err == nil {
		err = each(ctx, f.read, "SELECT release, detail FROM targets WHERE release IN (SELECT name FROM releases WHERE "+where.String()+") ORDER BY release, cluster",
			where.args, []any{&name, &detail}, func() error {
				at, ok := places[name]
				if !ok { // written in between
					return nil
				}
				var t event.ReleaseTarget
				if err := json.Unmarshal(detail, &t); err != nil {
					return err
				}
				out[at].state.Clusters = append(out[at].state.Clusters, t)
				return nil
			})
	}
	if err != nil {
		return nil, fmt.Errorf("read releases: %w", err)
	}
	return out, nil
}

// AuditQuery selects what is told of artifacts on clusters.
type AuditQuery struct {
	Artifact string
	view.ReleaseFilter
}

// Audit tells how artifacts came to clusters, the newest first: an entry for every cluster of every release that is selected.
// Errors: ErrNotOpen, and SQLite's.
func (h *History) Audit(ctx context.Context, q AuditQuery) ([]rest.AuditEntry, error) {
	where := releasesOf(q.ReleaseFilter)
	if q.Artifact != "" {
		where.and("artifact = ?", q.Artifact)
	}
	found, err := h.releases(ctx, where)
	if err != nil {
		return nil, err
	}
	out := []rest.AuditEntry{}
	for i := range found {
		r := found[i].rest()
		for _, c := range r.Clusters {
			if q.Cluster == "" || q.Cluster == c.Cluster {
				out = append(out, audited(&r, c))
			}
		}
	}
	return out, nil
}

func audited(r *rest.Release, c rest.ReleaseCluster) rest.AuditEntry {
	return rest.AuditEntry{
		Artifact: r.Artifact, Digest: r.Digest, Team: r.Team, Service: r.Service, Environment: r.Environment, Cluster: c.Cluster, Source: r.Source,
		Release: r.Name, Phase: r.Phase, Intent: r.Intent, From: r.From, RequestedBy: r.RequestedBy, RequestedAt: r.RequestedAt, Comment: r.Comment,
		Approvals: r.Approvals, Commit: r.Commit, RollbackCommit: r.RollbackCommit, State: c.State, Previous: c.Previous,
		MovedAt: c.MovedAt, AvailableAt: c.AvailableAt,
	}
}

// deliveriesBefore is how long before the window releases are read: those that say what ran when it began.
const deliveriesBefore = 90 * 24 * time.Hour

// Deliveries are the releases and episodes that delivery.Measure needs for a window that begins at from. Errors:
// ErrNotOpen, and SQLite's.
func (h *History) Deliveries(ctx context.Context, q view.ReleaseFilter) (delivery.Facts, error) {
	var facts delivery.Facts
	since := q.Since.Add(-deliveriesBefore)
	where := releasesOf(q)
	where.and("said >= ?", since.UnixMilli())
	found, err := h.releases(ctx, where)
	if err != nil {
		return facts, err
	}
	for _, k := range found {
		facts.Releases = append(facts.Releases, delivery.Release{Release: k.state, FailedAt: k.failed})
	}
	facts.Episodes, err = h.opened().failures(ctx, q, since)
	return facts, err
}

// failures are the episodes of artifacts since a moment.
func (f *file) failures(ctx context.Context, q view.ReleaseFilter, since time.Time) ([]delivery.Episode, error) {
	where := &clause{}
	where.and("e.artifact <> '' AND e.opened >= ?", since.UnixMilli())
	where.and("(? = '' OR e.team = ?) AND (? = '' OR e.service = ?)", q.Team, q.Team, q.Service, q.Service)
	var out []delivery.Episode
	var e delivery.Episode
	var opened, resolved int64
	err := each(ctx, f.read, "SELECT c.name, e.team, e.service, e.artifact, e.opened, e.resolved FROM episodes e JOIN clusters c ON c.id = e.cluster WHERE "+where.String(),
		where.args, []any{&e.Cluster, &e.Team, &e.Service, &e.Artifact, &opened, &resolved}, func() error {
			e.Opened, e.Resolved = timeOf(opened), timeOf(resolved)
			out = append(out, e)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("read failures: %w", err)
	}
	return out, nil
}

// describeRelease says who released what, or what came of it.
func describeRelease(t *rest.Transition, e *event.Event) {
	var p event.Release
	if e.Payload(&p) != nil {
		return
	}
	t.Reason, t.Lines = p.Reason, p.Lines
	if t.Message = p.String(); p.Message != "" {
		t.Message += ": " + p.Message
	}
}

func describeArtifact(t *rest.Transition, e *event.Event) {
	var p event.Artifact
	if e.Payload(&p) != nil {
		return
	}
	t.Message = strings.TrimSpace(strings.Join([]string{p.Source.Branch, p.Source.Commit, p.Source.Author}, " "))
}
