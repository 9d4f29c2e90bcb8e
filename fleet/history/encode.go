package history

import (
	"encoding/json"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/view"
)

// Record is an event as the view takes it, with its bytes as they were published, which are kept.
// One without an Event only moves the position: the stream has something there that is no event.
type Record struct {
	view.Record
	Data []byte
}

// quietFor is how long the events of a new life are taken for what the agent found, when no snapshot
// ends that before.
const quietFor = 15 * time.Minute

// columns of a row of events.
const columns = 6

// batch is what one transaction writes.
type batch struct {
	news     []statement // dictionaries first, then all that is neither a row nor a block
	rows     []int64     // columns a row
	blocks   []packed
	lives    []*life // that changed
	position int64
	stored   int64
	bytes    int64 // of the blocks
	done     []chan struct{}
}

// packed is a block as the file has it.
type packed struct {
	first, last, since, until int64
	data                      []byte
}

func (b *batch) count() int { return len(b.rows) / columns }

// encoder makes batches out of records. It belongs to one goroutine.
type encoder struct {
	names *names
	packs *packer
	base  int64 // added to positions of the stream

	batch *batch
	block block
	raw   int // bytes of the batch, before they are compressed
}

func newEncoder(n *names, base int64) (*encoder, error) {
	p, err := newPacker()
	if err != nil {
		return nil, err
	}
	return &encoder{names: n, packs: p, base: base, batch: &batch{}}, nil
}

// add takes one event into the batch, unless the history has it.
func (e *encoder) add(r Record) {
	seq, at := e.base+int64(r.Sequence), r.Stored.UnixNano()
	e.batch.position, e.batch.stored = seq, at
	if r.Event == nil || r.Event.Cluster() != r.Cluster {
		return
	}
	quiet, isNew := e.quiet(r)
	if !isNew {
		return
	}
	news := &e.batch.news
	cluster, where := r.Cluster, owner{r.Event.Environment, r.Event.Team, r.Event.Service}
	if r.Cluster == event.Platform && r.Event.Type.Kind() == event.KindCluster {
		if p, ok := registrationOf(r.Event); ok {
			cluster, where.environment = p.Cluster, p.Environment
			quiet = !e.names.register(p.Cluster, r.Event.Type == event.ClusterRegistered, news)
		}
	}
	id := e.names.cluster(cluster, news)
	e.batch.rows = append(e.batch.rows, e.names.team(where.team, news), moment(r.Event.Time, r.Stored), seq,
		id, e.names.owner(where, news), e.names.typ(r.Event.Type, quiet, news))
	switch {
	case r.Event.Type.Kind() == event.KindEpisode:
		e.episode(id, r.Event)
	case r.Event.Type == event.AgentSnapshot:
		e.snapshot(id, r.Event)
	case r.Cluster == event.Platform && r.Event.Type.Kind() == event.KindRelease:
		e.release(seq, r.Event)
	}
	e.keep(seq, at, r.Data)
}

// moment is when the event happened, in milliseconds: by its cluster's clock, but never after the bus
// had it.
func moment(happened, stored time.Time) int64 {
	return min(happened.UnixMilli(), stored.UnixMilli())
}

// quiet says whether the event is new, and whether it is a state that was found rather than a change.
func (e *encoder) quiet(r Record) (quiet, isNew bool) {
	ev := r.Event
	quiet = ev.Type == event.AgentSnapshot
	if r.Cluster == event.Platform || ev.Epoch == "" || ev.Sequence == 0 {
		return quiet, true
	}
	now := ev.Time.UnixMilli()
	l := e.names.life(e.names.cluster(r.Cluster, &e.batch.news), ev.Epoch, ev.Sequence, now)
	if !l.take(ev.Sequence) {
		return false, false
	}
	l.used = r.Stored.UnixMilli() / day
	if !l.listed {
		l.listed = true
		e.batch.lives = append(e.batch.lives, l)
	}
	if quiet && l.quiet != 0 && lastPart(ev) {
		l.quiet = 0
	}
	return quiet || now < l.quiet && ev.Type.Kind() != event.KindAgent, true
}

const day = int64(24 * time.Hour / time.Millisecond)

func lastPart(e *event.Event) bool {
	var p struct{ Part, Parts int }
	return json.Unmarshal(e.Data, &p) == nil && p.Part == p.Parts
}

func registrationOf(e *event.Event) (p event.Registration, ok bool) {
	ok = (e.Type == event.ClusterRegistered || e.Type == event.ClusterDeregistered) && e.Payload(&p) == nil && event.ValidCluster(p.Cluster)
	return p, ok
}

// keep puts the event's bytes into the block, which is compressed when it is full.
func (e *encoder) keep(seq, at int64, data []byte) {
	if len(e.block.raw)+len(data) > blockSize && !e.block.empty() {
		e.closeBlock()
	}
	e.block.add(seq, at, data)
	e.raw += len(data)
}

func (e *encoder) closeBlock() {
	if e.block.empty() {
		return
	}
	p := packed{e.block.first, e.block.last, e.block.since, e.block.until, e.packs.pack(e.block.raw)}
	e.batch.blocks = append(e.batch.blocks, p)
	e.batch.bytes += int64(len(p.data))
	e.block = block{raw: e.block.raw[:0]}
}

// take ends the batch and begins the next one.
func (e *encoder) take() *batch {
	e.closeBlock()
	for _, l := range e.batch.lives {
		l.listed = false
		e.batch.news = append(e.batch.news, l.statement())
	}
	out := e.batch
	e.batch, e.raw = &batch{rows: make([]int64, 0, cap(out.rows))}, 0
	return out
}

func (l *life) statement() statement {
	return statement{`INSERT INTO lives (id, cluster, epoch, last, holes, quiet, used) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET last = excluded.last, holes = excluded.holes, quiet = excluded.quiet, used = excluded.used`,
		[]any{l.id, l.cluster, l.epoch, int64(l.last), encodeHoles(l.holes), l.quiet, l.used}}
}
