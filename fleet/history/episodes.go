package history

import (
	"fmt"
	"time"

	"github.com/fairway-dev/fairway/api/event"
)

// maxParts of a snapshot, as the view takes them.
const maxParts = 512

// wordOf is the event's place among all that its cluster ever said, as a text that is compared: epochs are
// ordered as texts are, and sequences within an epoch.
func wordOf(e *event.Event) string { return fmt.Sprintf("%s/%020d", e.Epoch, e.Sequence) }

// episode keeps what is asked of episodes by their signature or id. What describes one comes from the
// newest of opened and changed, what it ran from opened, what ended it from resolved: in whatever order
// they arrive.
func (e *encoder) episode(cluster int64, ev *event.Event) {
	var p event.Episode
	if ev.Payload(&p) != nil || p.ID == "" {
		return // the view says that it refused it
	}
	entry, at := ev.Entry(), ev.Time
	switch ev.Type {
	case event.EpisodeResolved:
		resolved := resolvedAs{wordOf(ev), max(1, at.UnixMilli()), p.ResolvedBy, ev.Artifact, ev.Revision}
		e.write(statement{episodeResolved, episodeRow(cluster, &entry, &p, ev.Environment, openAs{}, resolved)})
		return
	case event.EpisodeOpened:
		e.write(statement{episodeOpened, episodeRow(cluster, &entry, &p, ev.Environment, openAs{wordOf(ev), at}, resolvedAs{})})
	default:
		e.write(statement{episodeChanged, episodeRow(cluster, &entry, &p, ev.Environment, openAs{wordOf(ev), at}, resolvedAs{})})
	}
	if wordOf(ev) < e.names.pictured[cluster] { // a snapshot that came before it may lack it
		e.write(statement{episodesEnd + " AND id = ?", []any{cluster, cluster, p.ID}})
	}
}

func (e *encoder) write(s ...statement) { e.batch.news = append(e.batch.news, s...) }

// snapshot takes what the snapshot says of episodes: those that it has are open. Those that were open before it
// and that it lacks, once all its parts are there, ended at some moment in between, which no event told.
func (e *encoder) snapshot(cluster int64, ev *event.Event) {
	var s event.Snapshot
	if ev.Payload(&s) != nil || s.ID == "" || s.Part < 1 || s.Part > s.Parts || s.Parts > maxParts {
		return // as the view does
	}
	word, at := wordOf(ev), ev.Time.UnixMilli()
	for i := range s.Entries {
		entry := &s.Entries[i]
		if entry.Type.Kind() != event.KindEpisode || entry.Type == event.EpisodeResolved {
			continue
		}
		var p event.Episode
		if (&event.Event{Data: entry.Data}).Payload(&p) != nil || p.ID == "" {
			continue
		}
		e.write(statement{episodeChanged, episodeRow(cluster, entry, &p, ev.Environment, openAs{word, ev.Time}, resolvedAs{})})
	}
	e.names.pictured[cluster] = max(e.names.pictured[cluster], word)
	part := []any{cluster, ev.Epoch, s.ID}
	e.write(
		statement{"INSERT OR IGNORE INTO parts (cluster, epoch, id, part, word, at) VALUES (?, ?, ?, ?, ?, ?)", append(part, s.Part, word, at)},
		statement{partsWhole, append(part, s.Parts)},
		statement{"DELETE FROM parts WHERE cluster = ? AND epoch = ? AND id = ? AND " + partsCount + " = ?", append(append(part, part...), s.Parts)},
		statement{episodesEnd, []any{cluster, cluster}})
}

// openAs is where and when an episode was heard to be open.
type openAs struct {
	word string
	at   time.Time
}

// resolvedAs is what its resolved event says.
type resolvedAs struct {
	word                   string
	at                     int64
	by, artifact, revision string
}

func episodeRow(cluster int64, entry *event.Entry, p *event.Episode, environment string, open openAs, resolved resolvedAs) []any {
	opened, known := entry.Time.UnixMilli(), int64(0)
	if !p.OpenedAt.IsZero() {
		opened = p.OpenedAt.UnixMilli()
	}
	if open.word != "" {
		known = open.at.UnixMilli()
	}
	return []any{cluster, p.ID, open.word, resolved.word, known, environment, entry.Team, entry.Service, p.Signature, entry.Subject, entry.Artifact, entry.Revision,
		opened, []byte(entry.Data), resolved.at, resolved.by, resolved.artifact, resolved.revision}
}

const (
	episodeInsert = `INSERT INTO episodes (cluster, id, word, over, known, environment, team, service, signature, object, artifact, revision,
opened, detail, resolved, resolved_by, resolved_artifact, resolved_revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (cluster, id) DO UPDATE SET opened = min(opened, excluded.opened), `

	// What is newer than its end, opens it again.
	episodeChanged = episodeInsert + `detail = iif(excluded.word >= word, excluded.detail, detail),
signature = iif(excluded.word >= word, excluded.signature, signature), word = max(word, excluded.word), known = max(known, excluded.known),
resolved = iif(excluded.word > max(word, over), 0, resolved), resolved_by = iif(excluded.word > max(word, over), '', resolved_by),
resolved_after = iif(excluded.word > max(word, over), 0, resolved_after),
resolved_artifact = iif(excluded.word > max(word, over), '', resolved_artifact),
resolved_revision = iif(excluded.word > max(word, over), '', resolved_revision)`

	episodeOpened = episodeChanged + `, artifact = excluded.artifact, revision = excluded.revision`

	episodeResolved = episodeInsert + `over = max(over, excluded.over),
resolved = iif(excluded.over > max(word, over), excluded.resolved, resolved), resolved_by = iif(excluded.over > max(word, over), excluded.resolved_by, resolved_by),
resolved_after = iif(excluded.over > max(word, over), 0, resolved_after),
resolved_artifact = iif(excluded.over > max(word, over), excluded.resolved_artifact, resolved_artifact),
resolved_revision = iif(excluded.over > max(word, over), excluded.resolved_revision, resolved_revision)`

	// The first snapshot that lacks it ended it, whichever came first.
	episodesEnd = `UPDATE episodes SET (resolved, resolved_after, resolved_by, resolved_artifact, resolved_revision) = (
SELECT max(1, s.at), max(1, min(s.at, max(known, opened))), '` + bySnapshot + `', '', '' FROM snapshots s
WHERE s.cluster = episodes.cluster AND s.word > episodes.word ORDER BY s.word LIMIT 1)
WHERE cluster = ? AND (resolved = 0 OR resolved_after > 0) AND word < (SELECT max(word) FROM snapshots WHERE cluster = ?)`

	// As the view does, a snapshot stands where its first part does.
	partsCount = `(SELECT count(*) FROM parts WHERE cluster = ? AND epoch = ? AND id = ?)`
	partsWhole = `INSERT OR IGNORE INTO snapshots (cluster, word, at) SELECT cluster, min(word), min(at) FROM parts
WHERE cluster = ? AND epoch = ? AND id = ? GROUP BY cluster HAVING count(*) = ?`

	// bySnapshot is what ended an episode of which no event said so, as in the view.
	bySnapshot = "snapshot"
)
