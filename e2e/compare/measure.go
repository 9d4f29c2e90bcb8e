package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fairway-dev/fairway/e2e/fleet"
)

const (
	// fluxLimit bounds how long Flux may take with a commit.
	fluxLimit = time.Minute
	// warmUpLimit bounds the wait for the first words of both.
	warmUpLimit = time.Minute
)

// warmUp lays out the Kustomizations, then commits until both have told all of one commit: from then on, both ways work.
func (s *scene) warmUp(ctx context.Context) error {
	files := s.plan.layout()
	for path, content := range s.plan.round(0) {
		files[path] = content
	}
	if err := s.commit(ctx, files); err != nil {
		return err
	}
	deadline := time.Now().Add(warmUpLimit)
	for {
		began := time.Now()
		if err := s.commitRound(ctx); err != nil {
			return err
		}
		if err := s.settle(ctx, began, s.plan.Every); err != nil {
			return err
		}
		fluxMissing, fairwayMissing := s.record.missing(flux, began), s.record.missing(fairway, began)
		if fluxMissing+fairwayMissing == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s, without any cut, notification-controller keeps %d changes to itself and the agent %d", warmUpLimit, fluxMissing, fairwayMissing)
		}
	}
}

// measure runs the plan and counts.
func (s *scene) measure(ctx context.Context) (Report, error) {
	p, rounds := phases{Begin: time.Now()}, s.rounds
	s.say("%d commits, one every %s", s.plan.Commits, s.plan.Every)
	if err := s.steady(ctx); err != nil {
		return Report{}, err
	}
	s.say("NATS is cut for %s; there are commits all the same", s.plan.Cut)
	var err error
	if p.Cut, p.Healed, err = s.cut(ctx); err != nil {
		return Report{}, err
	}
	s.say("NATS is back; waiting up to %s for what was not told", s.plan.Patience)
	if err := s.settle(ctx, p.Cut, s.plan.Patience); err != nil {
		return Report{}, err
	}
	s.say("%d commits again", s.plan.Commits)
	if err := s.steady(ctx); err != nil {
		return Report{}, err
	}
	p.End = time.Now()
	changes, tellers := s.record.now()
	report := Report{CutSeconds: p.Healed.Sub(p.Cut).Seconds(), Commits: s.rounds - rounds}
	for _, t := range tellers {
		report.Scores = append(report.Scores, score(changes, t, p, s.commits))
	}
	return report, context.Cause(ctx)
}

// steady commits as often as planned, and waits until both have told it or patience is at its end.
func (s *scene) steady(ctx context.Context) error {
	began := time.Now()
	if err := s.commitRounds(ctx, s.plan.Commits); err != nil {
		return err
	}
	return s.settle(ctx, began, s.plan.Patience)
}

// cut cuts the network for as long as planned, while there are commits.
func (s *scene) cut(ctx context.Context) (from, to time.Time, err error) {
	healed := make(chan time.Time, 1)
	s.network.Cut()
	from = time.Now()
	end := time.AfterFunc(s.plan.Cut, func() {
		s.network.Heal()
		healed <- time.Now()
	})
	defer end.Stop()
	if err := s.commitRounds(ctx, s.plan.commitsInCut()); err != nil {
		return from, to, err
	}
	select {
	case to = <-healed:
		return from, to, nil
	case <-ctx.Done():
		return from, to, context.Cause(ctx)
	}
}

// commitRounds commits n rounds, each an interval after the one before.
func (s *scene) commitRounds(ctx context.Context, n int) error {
	tick := time.NewTicker(s.plan.Every)
	defer tick.Stop()
	for i := range n {
		if i > 0 {
			if err := wait(ctx, tick.C); err != nil {
				return err
			}
		}
		if err := s.commitRound(ctx); err != nil {
			return err
		}
	}
	return nil
}

func wait(ctx context.Context, until <-chan time.Time) error {
	select {
	case <-until:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// commitRound commits the next round.
func (s *scene) commitRound(ctx context.Context) error {
	s.rounds++
	return s.commit(ctx, s.plan.round(s.rounds))
}

// commit commits, makes Flux look, and waits until each object has come to an end with it.
func (s *scene) commit(ctx context.Context, files fleet.Files) error {
	hash, err := s.fleet.Commit(ctx, fmt.Sprintf("round %d", s.rounds), files)
	if err != nil {
		return err
	}
	s.commits[hash] = time.Now()
	if err := s.fleet.Sync(ctx, cluster); err != nil {
		return err
	}
	return fleet.Await(ctx, fluxLimit, "Flux has applied or refused "+hash, func(context.Context) (bool, string) {
		n := s.record.ends(hash)
		return n >= s.plan.ends(), fmt.Sprintf("%d of %d objects have", n, s.plan.ends())
	})
}

// settle waits until both have told what happened since a time, but not longer than limit.
func (s *scene) settle(ctx context.Context, since time.Time, limit time.Duration) error {
	err := fleet.Await(ctx, limit, "both have told everything", func(context.Context) (bool, string) {
		missing := s.record.missing(flux, since) + s.record.missing(fairway, since)
		return missing == 0, fmt.Sprintf("%d changes are not told", missing)
	})
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return nil // what is not told by now is what is counted
}
