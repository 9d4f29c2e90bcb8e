package sim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/agent"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/outbox"
)

// Cluster is a simulated cluster with its agent.
type Cluster struct {
	ID      string
	World   *World
	Network *Network

	fleet  *Fleet
	creds  []byte
	outbox string // its file
	tap    *tap
	link   *repeater

	mu        sync.Mutex
	life      *life // nil: the agent does not run
	bytes     int   // bound of what waits in the outbox; 0: the outbox's own default
	fileBytes int   // bound of the outbox's file; 0: the outbox's own default
}

// What every cluster says of itself.
const (
	environment = "prod"
	cloud       = "AWS"
	region      = "eu-west-1"
	version     = "v0.1.0"
)

// life is one run of the agent.
type life struct {
	cancel context.CancelFunc
	ended  chan struct{} // closed when err is set
	err    error
	box    *outbox.Outbox
}

// Start starts the agent, as its pod would: it opens the outbox, connects and reports.
func (c *Cluster) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life != nil {
		return fmt.Errorf("start %s: its agent runs", c.ID)
	}
	if err := c.identify(); err != nil {
		return fmt.Errorf("start %s: %w", c.ID, err)
	}
	box, err := outbox.Open(outbox.Options{Path: c.outbox, Cluster: c.ID, Environment: environment, Cloud: cloud, Region: region, Bytes: c.bytes, FileBytes: c.fileBytes})
	if err != nil {
		return fmt.Errorf("start %s: %w", c.ID, err)
	}
	a, err := agent.New(agent.Options{
		Cluster: c.ID, Environment: environment, Cloud: cloud, Region: region, Version: version, Source: c.World, Outbox: box,
		Heartbeat: c.fleet.options.Heartbeat, Rate: c.fleet.options.Rate, Connect: c.connect, Denied: func(err error) bool { return errors.Is(err, bus.ErrDenied) },
	})
	if err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", c.ID, err), box.Close())
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &life{cancel: cancel, ended: make(chan struct{}), box: box}
	c.life = l
	go func() {
		defer close(l.ended)
		err := a.Run(ctx)
		l.note(c)
		l.err = errors.Join(err, box.Close())
	}()
	return nil
}

// connect dials the bus through the cluster's network and its tap.
func (c *Cluster) connect(ctx context.Context, onError func(error)) (agent.Bus, error) {
	conn, err := bus.Connect(ctx, bus.Options{
		URL: c.fleet.options.URL, Name: "fairway-agent " + c.ID, Creds: c.creds, CA: c.fleet.options.CA,
		InboxPrefix: event.InboxPrefix(c.ID), Dial: c.Network.Dial, OnError: onError,
	})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, conn.Close)
	return &through{Bus: conn, tap: c.tap, repeat: c.repeat}, nil
}

func (c *Cluster) repeat(ctx context.Context, e *event.Event) error {
	if err := c.link.publish(ctx, c.ID, e); err != nil {
		return fmt.Errorf("repeat an event of %s: %w", c.ID, err)
	}
	return nil
}

// Stop ends the agent and returns when it has ended. Its outbox stays. It is no error when it does not run.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life == nil {
		return nil
	}
	l := c.life
	c.life = nil
	l.cancel()
	<-l.ended
	if l.err != nil {
		return fmt.Errorf("agent of %s: %w", c.ID, l.err)
	}
	return nil
}

// Hold keeps the agent from sending events: they wait in its outbox. Heartbeats go on.
func (c *Cluster) Hold() { c.tap.hold() }

// Release ends Hold.
func (c *Cluster) Release() { c.tap.release() }

// killEvery is how often Kill looks for the commit.
const killEvery = 5 * time.Millisecond

// Kill ends the agent between commit and publish: the next thing that happens is in the outbox, and
// on no wire. It waits for that, at most until ctx ends. Start brings the agent back.
func (c *Cluster) Kill(ctx context.Context) error {
	c.Hold()
	defer c.Release()
	c.mu.Lock()
	l := c.life
	c.mu.Unlock()
	if l == nil {
		return fmt.Errorf("kill %s: its agent does not run", c.ID)
	}
	before, _ := l.box.Position()
	tick := time.NewTicker(killEvery)
	defer tick.Stop()
	c.World.Step()
	for {
		if now, _ := l.box.Position(); now > before {
			break
		}
		select {
		case <-tick.C:
		case <-l.ended:
			return fmt.Errorf("kill %s: it has ended by itself: %w", c.ID, l.err)
		case <-ctx.Done():
			return fmt.Errorf("kill %s: wait for a commit: %w", c.ID, context.Cause(ctx))
		}
	}
	return c.Stop()
}

// Bound gives the outbox that the next Start opens a small disk: so many bytes of events may wait, and
// its file may have so many. 0 is the outbox's own default.
func (c *Cluster) Bound(events, file int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes, c.fileBytes = events, file
}

// DeleteOutbox loses the agent's volume. The agent must not run.
func (c *Cluster) DeleteOutbox() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life != nil {
		return fmt.Errorf("delete outbox of %s: its agent runs", c.ID)
	}
	if err := os.Remove(c.outbox); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("delete outbox of %s: %w", c.ID, err)
	}
	return nil
}

// Skew sets the clock of the cluster wrong by d, as far as others see it.
func (c *Cluster) Skew(d time.Duration) {
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	c.tap.skew = d
}

// Disturb repeats that share of the cluster's events, and lets that share arrive after the next
// one. Calm ends it.
func (c *Cluster) Disturb(duplicate, reorder float64) {
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	c.tap.duplicate, c.tap.reorder = duplicate, reorder
}

// Calm ends Disturb, and sends what it held back.
func (c *Cluster) Calm(ctx context.Context) error {
	if late := c.tap.flush(); late != nil {
		return c.repeat(ctx, late)
	}
	return nil
}

// Flood lets n things happen at once.
func (c *Cluster) Flood(n int) {
	for range n {
		c.World.Step()
	}
}

// State is what the running agent has committed: the epoch, the sequence given last, the digest of
// its inventory and how many events wait to be sent, how many for the disk, and how many of a kind were
// dropped since it started.
type State struct {
	Epoch     string
	Sequence  uint64
	Digest    uint64
	Waiting   int
	Unwritten int
	Dropped   map[event.Kind]int
}

// State of the agent; false when it does not run.
func (c *Cluster) State() (State, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life == nil {
		return State{}, false
	}
	return c.life.state(), true
}

func (l *life) state() State {
	sequence, digest := l.box.Position()
	stats := l.box.Stats()
	return State{Epoch: l.box.Epoch(), Sequence: sequence, Digest: digest, Waiting: stats.Events, Unwritten: stats.Unwritten, Dropped: stats.Dropped}
}

// note tells the ledger how far the life has come.
func (l *life) note(c *Cluster) {
	s := l.state()
	c.fleet.Ledger.reached(Life{c.ID, s.Epoch}, s.Sequence)
}

func (c *Cluster) note() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life != nil {
		c.life.note(c)
	}
}

// Outbox is the path of the agent's outbox file.
func (c *Cluster) Outbox() string { return c.outbox }

// Err says how the agent ended, when it did so by itself.
func (c *Cluster) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life == nil {
		return nil
	}
	select {
	case <-c.life.ended:
		return fmt.Errorf("agent of %s ended: %w", c.ID, c.life.err)
	default:
		return nil
	}
}

func newCluster(f *Fleet, id string, seed uint64) *Cluster {
	c := &Cluster{ID: id, Network: &Network{}, fleet: f, outbox: filepath.Join(f.options.Dir, id+".db"), bytes: f.options.OutboxBytes}
	c.World = NewWorld(id, f.options.Objects, seed, f.stepped)
	c.tap = &tap{random: newRandom(seed)}
	return c
}

// identify gets the agent's credentials, once. c.mu is held.
func (c *Cluster) identify() error {
	if c.creds != nil {
		return nil
	}
	o := c.fleet.options
	if o.Creds != nil {
		creds, err := o.Creds(c.ID)
		if err != nil {
			return err
		}
		c.creds = creds
	} else {
		user, err := o.Keys.Agent(c.ID, time.Now().Add(24*time.Hour))
		if err != nil {
			return err
		}
		c.creds = user.Creds
	}
	c.link = &repeater{url: o.URL, creds: c.creds, inbox: event.InboxPrefix(c.ID), tls: secure(o.CA)}
	return nil
}

// secure is TLS with that authority alone; none where there is no authority.
func secure(ca []byte) nats.Option {
	if len(ca) == 0 {
		return func(*nats.Options) error { return nil }
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool})
}
