package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/fairway-dev/fairway/api/event"
)

// Duplicates is how long the stream remembers the ids of events. Later duplicates are dropped by
// whoever folds the stream.
const Duplicates = 2 * time.Minute

const maxHeartbeat = 4 << 10

// DefaultPerSubject bounds what one cluster can push out of the stream, whatever its agent does. An
// ordinary event takes about 1 KiB, so one subject has at most 100 MiB, a fortieth of the default
// MaxBytes; and 3,300 events of each kind a day, for 30 days, is more than a cluster has that is not
// broken.
const DefaultPerSubject = 100_000

// Retention bounds FLEET_EVENTS. The oldest events go first.
type Retention struct {
	MaxAge   time.Duration // 0: 30 days
	MaxBytes int64         // 0: 4 GiB
	// PerSubject is how many events of one kind of one cluster are kept; 0: DefaultPerSubject.
	PerSubject int64
	Replicas   int // 0: one; three on a NATS cluster
}

func (r Retention) withDefaults() Retention {
	if r.MaxAge == 0 {
		r.MaxAge = 30 * 24 * time.Hour
	}
	if r.MaxBytes == 0 {
		r.MaxBytes = 4 << 30
	}
	if r.PerSubject == 0 {
		r.PerSubject = DefaultPerSubject
	}
	if r.Replicas == 0 {
		r.Replicas = 1
	}
	return r
}

// EnsureStreams makes both streams, or brings them to these settings. Nobody, not even the
// account's own users, can delete or purge single messages, or erase by rollup.
func (c *Conn) EnsureStreams(ctx context.Context, r Retention) error {
	r = r.withDefaults()
	for _, cfg := range []jetstream.StreamConfig{eventsConfig(r), heartbeatsConfig(r)} {
		if _, err := c.js.CreateOrUpdateStream(ctx, cfg); err != nil {
			return fmt.Errorf("ensure stream %s: %w", cfg.Name, asError(err))
		}
	}
	return nil
}

func eventsConfig(r Retention) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        event.StreamEvents,
		Description: "Events of every cluster, as CloudEvents",
		Subjects:    []string{"fleet.v1.evt.*.*"},
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		Storage:     jetstream.FileStorage,
		Replicas:    r.Replicas,
		MaxAge:      r.MaxAge,
		MaxBytes:    r.MaxBytes,
		MaxMsgSize:  event.MaxSize,

		MaxMsgsPerSubject: r.PerSubject,

		Duplicates: min(Duplicates, r.MaxAge),
		DenyDelete: true,
		DenyPurge:  true,
	}
}

func heartbeatsConfig(r Retention) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              event.StreamHeartbeats,
		Description:       "The last heartbeat of every cluster",
		Subjects:          []string{"fleet.v1.hb.*"},
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardOld,
		Storage:           jetstream.FileStorage,
		Replicas:          r.Replicas,
		MaxMsgsPerSubject: 1,
		MaxMsgSize:        maxHeartbeat,
		DenyDelete:        true,
		DenyPurge:         true,
	}
}

// State is where FLEET_EVENTS begins and ends.
type State struct {
	First, Last uint64 // sequences; First is Last+1 when the stream is empty
	Created     time.Time
}

// State asks the bus for the state of FLEET_EVENTS.
func (c *Conn) State(ctx context.Context) (State, error) {
	return c.state(ctx, event.StreamEvents)
}

func (c *Conn) state(ctx context.Context, stream string) (State, error) {
	s, err := c.js.Stream(ctx, stream)
	if err != nil {
		return State{}, fmt.Errorf("look up stream %s: %w", stream, asError(err))
	}
	info := s.CachedInfo()
	out := State{First: info.State.FirstSeq, Last: info.State.LastSeq, Created: info.Created}
	if info.State.Msgs == 0 {
		out.First = out.Last + 1
	}
	return out, nil
}
