package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// migrations bring a file from one version of the schema to the next; the version of a file (SQLite's
// user_version) is how many of them it has had. Each runs in a transaction of its own.
//
// Times are Unix milliseconds, but those of blocks and of the state, which are Unix nanoseconds.
// seq is the position in the stream plus the state's base; derived rows have -id.
var migrations = []string{`
CREATE TABLE state (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	created INTEGER NOT NULL,  -- when the stream that is followed was made
	base INTEGER NOT NULL,     -- what is added to its positions: more than 0 after it was replaced
	position INTEGER NOT NULL, -- seq up to which the stream is in here
	stored INTEGER NOT NULL,   -- when the bus had that event
	rows INTEGER NOT NULL,
	bytes INTEGER NOT NULL     -- of all blocks
);
INSERT INTO state VALUES (1, 0, 0, 0, 0, 0, 0);

-- The dictionaries: small, and held in memory by the writer. Id 0 is for nothing.
CREATE TABLE teams (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE clusters (id INTEGER PRIMARY KEY, name TEXT NOT NULL, registered INTEGER NOT NULL DEFAULT 0);
CREATE TABLE owners (id INTEGER PRIMARY KEY, environment TEXT NOT NULL, team TEXT NOT NULL, service TEXT NOT NULL);
CREATE TABLE types (id INTEGER PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, quiet INTEGER NOT NULL);
INSERT INTO teams VALUES (0, '');

-- One life of a cluster's outbox, and which of its sequences are in here: all up to last but holes.
CREATE TABLE lives (
	id INTEGER PRIMARY KEY, cluster INTEGER NOT NULL, epoch TEXT NOT NULL,
	last INTEGER NOT NULL, holes BLOB NOT NULL, quiet INTEGER NOT NULL, used INTEGER NOT NULL
);

CREATE TABLE events (
	team INTEGER NOT NULL, at INTEGER NOT NULL, seq INTEGER NOT NULL,
	cluster INTEGER NOT NULL, owner INTEGER NOT NULL, type INTEGER NOT NULL,
	PRIMARY KEY (team, at, seq)
) WITHOUT ROWID;

-- The events as they were published, some dozens compressed together.
CREATE TABLE blocks (
	first INTEGER PRIMARY KEY, last INTEGER NOT NULL,
	since INTEGER NOT NULL, until INTEGER NOT NULL, -- when the bus had the first and the last
	data BLOB NOT NULL
);

CREATE TABLE episodes (
	cluster INTEGER NOT NULL, id TEXT NOT NULL, sequence INTEGER NOT NULL,
	environment TEXT NOT NULL, team TEXT NOT NULL, service TEXT NOT NULL,
	signature TEXT NOT NULL, object TEXT NOT NULL, artifact TEXT NOT NULL, revision TEXT NOT NULL,
	opened INTEGER NOT NULL, detail BLOB NOT NULL,
	resolved INTEGER NOT NULL, resolved_by TEXT NOT NULL, resolved_artifact TEXT NOT NULL, resolved_revision TEXT NOT NULL,
	PRIMARY KEY (cluster, id)
) WITHOUT ROWID;
CREATE INDEX episodes_id ON episodes (id);
CREATE INDEX episodes_signature ON episodes (signature, opened);

-- What no event says: clusters that fell silent or came back, with the last heartbeat before it.
CREATE TABLE transitions (
	id INTEGER PRIMARY KEY, at INTEGER NOT NULL, cluster INTEGER NOT NULL, environment TEXT NOT NULL,
	connected INTEGER NOT NULL, event BLOB NOT NULL
);
CREATE INDEX transitions_at ON transitions (at);

-- Heartbeats that said something new beside their sequence and time.
CREATE TABLE heartbeats (cluster INTEGER NOT NULL, received INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (cluster, received)) WITHOUT ROWID;

-- The moments in which a hub watched: outside of them nobody knows who was silent.
CREATE TABLE watched (since INTEGER PRIMARY KEY, until INTEGER NOT NULL);

-- The fleet view as it was at a position.
CREATE TABLE checkpoints (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, data BLOB NOT NULL);
`, `
-- An episode is also over when a snapshot lacks it. A word is an epoch and a sequence.
ALTER TABLE episodes ADD COLUMN word TEXT NOT NULL DEFAULT '';               -- the newest that has it open
ALTER TABLE episodes ADD COLUMN over TEXT NOT NULL DEFAULT '';               -- the newest that resolved it
ALTER TABLE episodes ADD COLUMN known INTEGER NOT NULL DEFAULT 0;            -- when it was heard to be open last
ALTER TABLE episodes ADD COLUMN resolved_after INTEGER NOT NULL DEFAULT 0;   -- more than 0: a snapshot ended it, between this and resolved
ALTER TABLE episodes DROP COLUMN sequence;

-- The snapshots that are whole, and the parts of those that are not.
CREATE TABLE snapshots (cluster INTEGER NOT NULL, word TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (cluster, word)) WITHOUT ROWID;
CREATE TABLE parts (
	cluster INTEGER NOT NULL, epoch TEXT NOT NULL, id TEXT NOT NULL, part INTEGER NOT NULL, word TEXT NOT NULL, at INTEGER NOT NULL,
	PRIMARY KEY (cluster, epoch, id, part)
) WITHOUT ROWID;
`, `
-- The newest word on every release, and on every cluster of it. A word is ordered as the view orders it.
CREATE TABLE releases (
	name TEXT PRIMARY KEY, team TEXT NOT NULL, service TEXT NOT NULL, environment TEXT NOT NULL, artifact TEXT NOT NULL,
	requested INTEGER NOT NULL, said INTEGER NOT NULL, -- when the platform said the word
	failed INTEGER NOT NULL,                           -- when it said first that it failed; 0: never
	word TEXT NOT NULL, detail BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX releases_requested ON releases (requested);
CREATE INDEX releases_artifact ON releases (artifact);
CREATE TABLE targets (release TEXT NOT NULL, cluster TEXT NOT NULL, word TEXT NOT NULL, detail BLOB NOT NULL, PRIMARY KEY (release, cluster)) WITHOUT ROWID;
`}

// ErrNewer is wrapped by what fails because a newer Fairway has written the file.
var ErrNewer = errors.New("a newer version of Fairway has written it")

const (
	readers = 4
	busy    = 2000 // ms that SQLite waits for a lock before it gives up
)

// open opens or makes the file: one connection for writing, some for reading.
func open(ctx context.Context, path string, steps []string) (write, read *sql.DB, err error) {
	first := ""
	if info, err := os.Stat(path); err != nil || info.Size() == 0 { // later it changes nothing, and still takes a page to say so
		first = "&_pragma=auto_vacuum(incremental)"
	}
	write, err = sql.Open("sqlite", dsn(path, "_txlock=immediate"+first+"&_pragma=journal_mode(wal)&_pragma=synchronous(normal)&_pragma=temp_store(memory)"))
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	if err := migrate(ctx, write, steps); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open %s: %w", path, err), write.Close())
	}
	read, err = sql.Open("sqlite", dsn(path, "_pragma=query_only(1)&_pragma=temp_store(memory)"))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open %s: %w", path, err), write.Close())
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return write, read, nil
}

func dsn(path, query string) string {
	return fmt.Sprintf("%s?_pragma=busy_timeout(%d)&%s", (&url.URL{Scheme: "file", Opaque: path}).String(), busy, query)
}

func migrate(ctx context.Context, db *sql.DB, steps []string) error {
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(steps) {
		return fmt.Errorf("%w: its schema is %d, this one knows %d", ErrNewer, version, len(steps))
	}
	for ; version < len(steps); version++ {
		if err := step(ctx, db, version+1, steps[version]); err != nil {
			return fmt.Errorf("migrate to schema %d: %w", version+1, err)
		}
	}
	return nil
}

func step(ctx context.Context, db *sql.DB, version int, statements string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	if _, err := tx.ExecContext(ctx, statements); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return err
	}
	return tx.Commit()
}
