package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/fairway-dev/fairway/api/event"
)

// names are the dictionaries: a small number for every text that repeats. They belong to the
// goroutine that encodes; what is new in them goes into the file with the batch that needs it.
type names struct {
	teams    map[string]int64
	clusters map[string]int64
	owners   map[owner]int64
	types    map[kindOf]int64
	// registered are the clusters that the platform has said belong to the fleet.
	registered map[string]bool
	lives      map[lifeOf]*life
	nextLife   int64
	// pictured is the newest word of a snapshot, or of a part of one, by cluster.
	pictured map[int64]string
}

type owner struct{ environment, team, service string }

type kindOf struct {
	typ   event.Type
	quiet bool
}

type lifeOf struct {
	cluster int64
	epoch   string
}

// statement is one row that the batch needs before its events.
type statement struct {
	sql  string
	args []any
}

// number finds the number of a text, or gives it the next one and says how to write that down.
func number[K comparable](in map[K]int64, key K, keep func(K) K, write func(id int64) statement, news *[]statement) int64 {
	if id, ok := in[key]; ok {
		return id
	}
	id := int64(len(in) + 1)
	in[keep(key)] = id
	*news = append(*news, write(id))
	return id
}

func (n *names) team(name string, news *[]statement) int64 {
	if name == "" {
		return 0
	}
	return number(n.teams, name, strings.Clone, func(id int64) statement {
		return statement{"INSERT INTO teams (id, name) VALUES (?, ?)", []any{id, name}}
	}, news)
}

func (n *names) cluster(name string, news *[]statement) int64 {
	return number(n.clusters, name, strings.Clone, func(id int64) statement {
		return statement{"INSERT INTO clusters (id, name) VALUES (?, ?)", []any{id, name}}
	}, news)
}

func (n *names) owner(o owner, news *[]statement) int64 {
	keep := func(o owner) owner {
		return owner{strings.Clone(o.environment), strings.Clone(o.team), strings.Clone(o.service)}
	}
	return number(n.owners, o, keep, func(id int64) statement {
		return statement{"INSERT INTO owners (id, environment, team, service) VALUES (?, ?, ?, ?)", []any{id, o.environment, o.team, o.service}}
	}, news)
}

func (n *names) typ(t event.Type, quiet bool, news *[]statement) int64 {
	keep := func(k kindOf) kindOf { return kindOf{event.Type(strings.Clone(string(k.typ))), k.quiet} }
	return number(n.types, kindOf{t, quiet}, keep, func(id int64) statement {
		return statement{"INSERT INTO types (id, name, kind, quiet) VALUES (?, ?, ?, ?)", []any{id, string(t), string(t.Kind()), quiet}}
	}, news)
}

// life finds the life of an epoch, or begins it. One that begins with its first event is quiet until
// its snapshot is there.
func (n *names) life(cluster int64, epoch string, sequence uint64, now int64) *life {
	key := lifeOf{cluster, epoch}
	if l := n.lives[key]; l != nil {
		return l
	}
	n.nextLife++
	key.epoch = strings.Clone(epoch)
	l := &life{id: n.nextLife, cluster: cluster, epoch: key.epoch}
	if sequence == 1 {
		l.quiet = now + quietFor.Milliseconds()
	}
	n.lives[key] = l
	return l
}

// register says whether what the platform says of the cluster is news of its membership.
func (n *names) register(cluster string, member bool, news *[]statement) bool {
	if n.registered[cluster] == member {
		return false
	}
	id := n.cluster(cluster, news)
	n.registered[strings.Clone(cluster)] = member
	*news = append(*news, statement{"UPDATE clusters SET registered = ? WHERE id = ?", []any{member, id}})
	return true
}

// loadNames reads the dictionaries and the lives.
func loadNames(ctx context.Context, db *sql.DB) (*names, error) {
	n := &names{teams: map[string]int64{}, clusters: map[string]int64{}, owners: map[owner]int64{}, types: map[kindOf]int64{},
		registered: map[string]bool{}, lives: map[lifeOf]*life{}, pictured: map[int64]string{}}
	var id, cluster int64
	var name, second, third string
	var flag bool
	var l life
	var holes []byte
	for _, read := range []struct {
		query string
		into  []any
		keep  func() error
	}{
		{"SELECT id, name FROM teams WHERE id > 0", []any{&id, &name}, func() error { n.teams[name] = id; return nil }},
		{"SELECT id, name, registered FROM clusters", []any{&id, &name, &flag}, func() error {
			if n.clusters[name] = id; flag {
				n.registered[name] = true
			}
			return nil
		}},
		{"SELECT id, environment, team, service FROM owners", []any{&id, &name, &second, &third}, func() error {
			n.owners[owner{name, second, third}] = id
			return nil
		}},
		{"SELECT id, name, quiet FROM types", []any{&id, &name, &flag}, func() error { n.types[kindOf{event.Type(name), flag}] = id; return nil }},
		{"SELECT id, cluster, epoch, last, holes, quiet, used FROM lives", []any{&l.id, &cluster, &name, &l.last, &holes, &l.quiet, &l.used}, func() (err error) {
			kept := l
			kept.cluster, kept.epoch = cluster, name
			n.nextLife = max(n.nextLife, l.id)
			n.lives[lifeOf{cluster, name}] = &kept
			kept.holes, err = decodeHoles(holes)
			return err
		}},
		{"SELECT cluster, max(word) FROM (SELECT cluster, word FROM snapshots UNION ALL SELECT cluster, word FROM parts) GROUP BY cluster",
			[]any{&cluster, &name}, func() error { n.pictured[cluster] = name; return nil }},
	} {
		if err := each(ctx, db, read.query, nil, read.into, read.keep); err != nil {
			return nil, fmt.Errorf("read dictionaries: %w", err)
		}
	}
	return n, nil
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each scans every row of a query into the same variables and calls fn for it.
func each(ctx context.Context, db querier, query string, args []any, into []any, fn func() error) (err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := fn(); err != nil {
			return err
		}
	}
	return rows.Err()
}
