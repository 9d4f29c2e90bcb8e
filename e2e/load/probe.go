package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	bolt "go.etcd.io/bbolt"

	"github.com/fairway-dev/fairway/fleet/bus"
)

const (
	probeStream  = "PROBE"
	probeSubject = "probe.event"
	probeEvery   = 50 * time.Millisecond
	probeLimit   = 10 * time.Second
	probeSize    = 900 // bytes, about what an event has
)

// probe is the least that an event needs: one synced write to a file of its own, a publish to a stream of its own on
// the same bus, and an ordered consumer that gets it.
type probe struct {
	db       *bolt.DB
	nc       *nats.Conn
	js       jetstream.JetStream
	consumed jetstream.ConsumeContext
	arrived  chan uint64
}

var probeBucket = []byte("events")

func startProbe(ctx context.Context, o bus.Options, path string) (_ *probe, err error) {
	p := &probe{arrived: make(chan uint64, 16)}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.db, err = bolt.Open(path, 0o600, nil); err != nil {
		return nil, fmt.Errorf("open probe: %w", err)
	}
	if p.nc, err = dial(o); err != nil {
		return nil, err
	}
	if p.js, err = jetstream.New(p.nc); err != nil {
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	stream, err := p.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: probeStream, Subjects: []string{probeSubject}, MaxBytes: 64 << 20})
	if err != nil {
		return nil, fmt.Errorf("make stream: %w", err)
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy})
	if err != nil {
		return nil, fmt.Errorf("make consumer: %w", err)
	}
	p.consumed, err = consumer.Consume(func(m jetstream.Msg) { p.arrived <- binary.BigEndian.Uint64(m.Data()) })
	return p, err
}

// repeat sends one after the other for a while, and lists in milliseconds what each took from the moment at which it was
// due: where one is held up for a second, those that were due meanwhile have waited too, as the fleet's events have.
func (p *probe) repeat(ctx context.Context, lasting time.Duration) ([]float64, error) {
	due := time.Now()
	end := due.Add(lasting)
	var out []float64
	for n := uint64(1); due.Before(end); n++ {
		if err := pause(ctx, time.Until(due)); err != nil {
			return nil, err
		}
		if err := p.once(ctx, n); err != nil {
			return nil, err
		}
		out = append(out, milliseconds(time.Since(due)))
		due = due.Add(probeEvery)
	}
	return out, nil
}

// once sends probe n and returns when it has arrived.
func (p *probe) once(ctx context.Context, n uint64) error {
	data := bytes.Repeat([]byte{'x'}, probeSize)
	binary.BigEndian.PutUint64(data, n)
	err := p.db.Update(func(tx *bolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(probeBucket)
		if err != nil {
			return err
		}
		return bucket.Put(data[:8], data)
	})
	if err != nil {
		return fmt.Errorf("write probe: %w", err)
	}
	if _, err := p.js.PublishAsync(probeSubject, data); err != nil {
		return fmt.Errorf("publish probe: %w", err)
	}
	limit := time.NewTimer(probeLimit)
	defer limit.Stop()
	for {
		select {
		case got := <-p.arrived:
			if got == n {
				return nil
			}
		case <-limit.C:
			return fmt.Errorf("probe %d did not arrive within %s", n, probeLimit)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *probe) close() error {
	if p.consumed != nil {
		p.consumed.Stop()
	}
	if p.nc != nil {
		p.nc.Close()
	}
	if p.db != nil {
		return p.db.Close()
	}
	return nil
}
