package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/observe"
)

// snapshotWait is how long the first snapshot waits for the last lines of what fails already.
const snapshotWait = 10 * time.Second

// idle is how long the loop waits when no decision does.
const idle = time.Hour

// loop is the goroutine that owns the observer. Until every first list is there it only collects;
// then it sends a snapshot, or what the process before it missed; then what it observes. What one
// turn says is committed together.
type loop struct {
	*Agent
	first   map[*kind][]observe.Object // first lists; nil: not there yet
	early   []change                   // what came after a kind's first list and before the last one's
	ready   bool                       // first lists are observed
	live    bool                       // what is observed is sent
	found   bool                       // discovery has answered: it is known which lists there will be
	skipped map[*kind]bool             // kinds that cannot be read, so that nobody knows what there is
	lacking bool                       // a snapshot is due that could not be made
	past    *past                      // what was told before this process; nil: nothing, or all caught up

	batch    []event.Event // to be committed at the end of this turn
	pictured time.Time     // when the last snapshot was made

	lines   chan lines
	reading int                        // logs that are being read
	held    map[string][]observe.Draft // episode -> drafts that wait for the lines of the first
	recheck *time.Timer
	giveUp  <-chan time.Time // until then the snapshot waits for logs
}

// lines is what was read for a draft.
type lines struct {
	draft   observe.Draft
	quiet   bool // it was made before the snapshot
	raw     []byte
	problem string
}

func newLoop(a *Agent) *loop {
	return &loop{Agent: a, first: map[*kind][]observe.Object{}, skipped: map[*kind]bool{}, held: map[string][]observe.Draft{}, lines: make(chan lines, logReaders)}
}

func (l *loop) run(ctx context.Context) error {
	if err := l.recall(); err != nil {
		return err
	}
	l.recheck = time.NewTimer(idle)
	defer l.recheck.Stop()
	beat := time.NewTicker(l.opts.Heartbeat)
	defer beat.Stop()
	l.heartbeat()
	for {
		l.health.alive()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case c := <-l.changes:
			l.take(ctx, c)
			l.takeMore(ctx)
		case read := <-l.lines:
			l.reading--
			l.attach(ctx, read)
		case <-l.recheck.C:
			l.handle(ctx, l.obs.Recheck(time.Now()))
		case <-l.giveUp:
			l.goLive(ctx)
		case <-l.resync:
			if l.live {
				l.snapshot()
				l.heartbeat()
			}
		case <-beat.C:
			l.upkeep()
			l.heartbeat()
		}
		l.commit()
	}
}

// together is how many changes that wait already may be committed with the first of them.
const together = 128

func (l *loop) takeMore(ctx context.Context) {
	for range together {
		select {
		case c := <-l.changes:
			l.take(ctx, c)
		default:
			return
		}
	}
}

// take observes a change, or keeps it until the first lists are complete.
func (l *loop) take(ctx context.Context, c change) {
	if l.ready {
		l.observe(ctx, c)
		return
	}
	listed := l.first[c.kind] != nil
	switch c.op {
	case opWanted:
		delete(l.skipped, c.kind)
		l.first[c.kind] = nil
	case opAbsent:
		delete(l.first, c.kind)
	case opSkip:
		if !listed {
			delete(l.first, c.kind)
			l.skipped[c.kind] = true
		}
	case opList:
		l.first[c.kind] = c.objects
	case opVersion:
		l.found = true
		l.observe(ctx, c)
	default:
		if listed {
			l.early = append(l.early, c)
		}
	}
	l.begin(ctx)
}

// begin observes the first lists when all of them are there, owners before what they own, and
// whatever came since. Of a kind that the cluster does not have, nothing is left.
func (l *loop) begin(ctx context.Context) {
	if l.ready || !l.found {
		return
	}
	for _, objects := range l.first {
		if objects == nil {
			return
		}
	}
	l.ready = true
	for _, k := range kinds {
		if objects, ok := l.first[k]; ok {
			l.observe(ctx, change{kind: k, op: opList, objects: objects})
		} else if !l.skipped[k] {
			l.observe(ctx, change{kind: k, op: opAbsent})
		}
	}
	for _, c := range l.early {
		l.observe(ctx, c)
	}
	l.first, l.early = nil, nil
	if l.past != nil {
		l.handle(ctx, l.obs.Restored(time.Now()))
	}
	l.giveUp = time.After(snapshotWait)
	if l.reading == 0 {
		l.goLive(ctx)
	}
}

func (l *loop) observe(ctx context.Context, c change) {
	now := time.Now()
	switch c.op {
	case opApply:
		l.handle(ctx, l.obs.Apply(c.objects[0], now))
	case opRemove:
		l.handle(ctx, l.obs.Remove(c.objects[0], now))
	case opList:
		there := make(map[event.Object]bool, len(c.objects))
		for _, obj := range c.objects {
			there[event.Object{Kind: c.kind.name, Namespace: obj.GetNamespace(), Name: obj.GetName()}] = true
			l.handle(ctx, l.obs.Apply(obj, now))
		}
		l.handle(ctx, l.obs.Keep(c.kind.name, there, now))
	case opAbsent:
		l.handle(ctx, l.obs.Keep(c.kind.name, nil, now))
	case opVersion:
		l.handle(ctx, l.obs.SetVersion(c.version, now))
	case opWanted, opSkip: // a kind that came later has its list as live events
	}
	l.health.objects(l.obs.Objects())
}

// handle sends what was observed, and wakes the loop when time alone may change it.
func (l *loop) handle(ctx context.Context, r observe.Result) {
	for _, d := range r.Drafts {
		l.emit(ctx, d)
	}
	wait := idle
	if r.RecheckAfter > 0 {
		wait = r.RecheckAfter
	}
	l.recheck.Reset(wait)
}

// emit sends a draft, once the lines that it needs are read. Drafts of the same episode wait for
// it, so that opened comes before resolved.
func (l *loop) emit(ctx context.Context, d observe.Draft) {
	if !l.live && l.past != nil {
		l.past.missed = append(l.past.missed, d)
		return
	}
	id := d.Episode()
	if waiting, ok := l.held[id]; ok && id != "" {
		l.held[id] = append(waiting, d)
		return
	}
	if d.Logs == nil {
		l.send(d)
		return
	}
	l.held[id] = nil
	l.reading++
	quiet := !l.live
	go func() {
		raw, problem := l.logs.read(ctx, *d.Logs)
		select {
		case l.lines <- lines{draft: d, quiet: quiet, raw: raw, problem: problem}:
		case <-ctx.Done():
		}
	}()
}

// attach sends a draft with its lines, and what waited for it. Before the snapshot, the lines go
// into that.
func (l *loop) attach(ctx context.Context, read lines) {
	d := l.obs.WithLogs(read.draft, read.raw, read.problem)
	later := l.held[d.Episode()]
	delete(l.held, d.Episode())
	if !l.live && l.ready && l.reading == 0 {
		defer l.goLive(ctx)
	}
	if read.quiet { // the snapshot has the episode already, without its lines
		d.Type, d.Time = event.EpisodeChanged, time.Now()
	}
	l.send(d)
	for _, next := range later {
		l.emit(ctx, next.WithLinesOf(d))
	}
}

// send adds a draft to what is committed next. Before the snapshot there is nothing to send: it will
// have it all.
func (l *loop) send(d observe.Draft) {
	if !l.live {
		return
	}
	e, err := l.event(d)
	if err != nil {
		l.log.Error("make event", "error", err)
		l.lacking = true
		return
	}
	l.batch = append(l.batch, e)
}

// commit puts what was said into the outbox. What the disk does not take waits there.
func (l *loop) commit() {
	if len(l.batch) == 0 {
		return
	}
	err := l.outbox.Commit(l.batch...)
	l.batch = nil
	l.health.outbox(err)
	l.lacking = l.lacking || err != nil && l.outbox.Problem() == nil
}

func (l *loop) event(d observe.Draft) (event.Event, error) {
	e, err := event.New(l.opts.Cluster, d.Type, d.Object, d.Time, d.Data)
	if err != nil {
		return e, fmt.Errorf("make event: %w", err)
	}
	e.Environment, e.Cloud, e.Region = l.opts.Environment, l.opts.Cloud, l.opts.Region
	e.Team, e.Service, e.Artifact, e.Revision = d.Team, d.Service, d.Artifact, d.Revision
	return e, nil
}

func (l *loop) goLive(ctx context.Context) {
	if l.live || !l.ready {
		return
	}
	l.live, l.giveUp = true, nil
	l.send(observe.Draft{Type: event.AgentStarted, Time: l.started, Data: event.Started{Version: l.opts.Version, Cluster: l.obs.Cluster()}})
	if l.past != nil {
		l.catchUp(ctx)
	} else {
		l.snapshot()
	}
	l.heartbeat()
	l.log.Info("reporting", "cluster", l.opts.Cluster, "epoch", l.outbox.Epoch(), "objects", l.obs.Objects())
}

// heartbeat hands the newest heartbeat to whoever sends it, in place of one that still waits.
func (l *loop) heartbeat() {
	l.commit()
	sequence, digest := l.outbox.Position()
	h := event.Heartbeat{
		Epoch: l.outbox.Epoch(), Sequence: sequence, Digest: digest, Objects: l.obs.Objects(), Time: time.Now().UTC(),
		Interval: event.Duration(l.opts.Heartbeat), Version: l.opts.Version, Started: l.started.UTC(), Cluster: l.obs.Cluster(),
	}
	select {
	case <-l.beats:
	default:
	}
	l.beats <- h // the loop is the only sender: there is room
}
