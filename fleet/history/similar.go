package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

// maxSimilar is how many similar episodes are told of.
const maxSimilar = 20

// Episode finds an episode that any event of the history is about, also long after it was resolved.
// Errors: ErrNoEpisode, ErrNotOpen, and SQLite's.
func (h *History) Episode(ctx context.Context, id string) (rest.Episode, error) {
	f := h.opened()
	if f == nil {
		return rest.Episode{}, ErrNotOpen
	}
	var detail []byte
	var opened, resolved, after int64
	e := rest.Episode{ID: id, Known: true}
	err := f.read.QueryRowContext(ctx, `SELECT c.name, e.environment, e.team, e.service, e.signature, e.object, e.artifact, e.revision,
e.opened, e.detail, e.resolved, e.resolved_after, e.resolved_by FROM episodes e JOIN clusters c ON c.id = e.cluster WHERE e.id = ?`, id).Scan(
		&e.Cluster, &e.Environment, &e.Team, &e.Service, &e.Signature, &e.Object, &e.Artifact, &e.Revision, &opened, &detail, &resolved, &after, &e.ResolvedBy)
	if errors.Is(err, sql.ErrNoRows) {
		return e, ErrNoEpisode
	}
	var p event.Episode
	if err == nil {
		err = json.Unmarshal(detail, &p)
	}
	if err != nil {
		return e, fmt.Errorf("read episode %s: %w", id, err)
	}
	e.Owner, e.Reason, e.Message, e.Container, e.Pod = p.Owner.String(), p.Reason, p.Message, p.Container, p.Pod
	e.ExitCode, e.Restarts, e.Lines, e.Runbook = p.ExitCode, p.Restarts, p.Lines, p.Runbook
	e.OpenedAt, e.ResolvedAt, e.ResolvedAfter = timeOf(opened), timeOf(resolved), timeOf(after)
	return e, nil
}

// Similar lists other episodes with the signature, on whatever cluster and day, the newest first, with
// what ended each.
func (h *History) Similar(ctx context.Context, signature, except string) ([]rest.SimilarEpisode, error) {
	out := []rest.SimilarEpisode{}
	f := h.opened()
	if f == nil {
		return out, ErrNotOpen
	}
	if signature == "" {
		return out, nil
	}
	var e rest.SimilarEpisode
	var opened, resolved, after int64
	err := each(ctx, f.read, `SELECT e.id, c.name, e.environment, e.object, e.team, e.service, json_extract(CAST(e.detail AS TEXT), '$.reason'),
e.opened, e.resolved, e.resolved_after, e.resolved_by, e.artifact, e.revision, e.resolved_artifact, e.resolved_revision
FROM episodes e JOIN clusters c ON c.id = e.cluster WHERE e.signature = ? AND e.id <> ? ORDER BY e.opened DESC, e.id LIMIT ?`,
		[]any{signature, except, maxSimilar},
		[]any{&e.ID, &e.Cluster, &e.Environment, &e.Object, &e.Team, &e.Service, &e.Reason, &opened, &resolved, &after, &e.ResolvedBy,
			&e.Artifact, &e.Revision, &e.ResolvedArtifact, &e.ResolvedRevision},
		func() error {
			e.OpenedAt, e.ResolvedAt, e.ResolvedAfter = timeOf(opened), timeOf(resolved), timeOf(after)
			out = append(out, e)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("find episodes like %s: %w", signature, err)
	}
	return out, nil
}

func timeOf(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}
