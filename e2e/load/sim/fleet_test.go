package sim

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/e2e/bench/kube"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/operator/natsauth"
)

const limit = time.Minute

// stage is a fleet on a real event bus, and what its stream has.
type stage struct {
	*testing.T
	fleet *Fleet
	hub   *bus.Conn

	mu    sync.Mutex
	seen  map[Key]int
	told  map[Said]int
	order map[string]uint64 // highest sequence so far, by cluster and epoch
	late  int               // that arrived after a later one
	beats map[string]event.Heartbeat
}

func newStage(t *testing.T, o Options) *stage {
	t.Helper()
	keys, err := natsauth.NewKeys()
	check(t, err)
	tokens, err := keys.Server(nil)
	check(t, err)
	user, err := keys.Hub()
	check(t, err)
	server, err := bus.StartServer(t.Context(), bus.ServerOptions{Listen: "127.0.0.1:0", StoreDir: t.TempDir(), Log: logr.Discard(),
		OperatorJWT: tokens.OperatorJWT, AccountJWT: tokens.AccountJWT, SystemJWT: tokens.SystemJWT})
	check(t, err)
	t.Cleanup(server.Close)
	s := &stage{T: t, seen: map[Key]int{}, told: map[Said]int{}, order: map[string]uint64{}, beats: map[string]event.Heartbeat{}}
	s.hub, err = bus.Connect(t.Context(), bus.Options{URL: server.URL(), Name: "test", Creds: user.Creds})
	check(t, err)
	t.Cleanup(s.hub.Close)
	check(t, s.hub.EnsureStreams(t.Context(), bus.Retention{}))
	o.Dir, o.URL, o.Keys, o.Heartbeat = t.TempDir(), server.URL(), keys, 500*time.Millisecond
	s.fleet, err = Start(t.Context(), o)
	check(t, err)
	t.Cleanup(func() { check(t, s.fleet.Close()) })
	s.follow()
	return s
}

// follow reads both streams until the test ends.
func (s *stage) follow() {
	ctx, cancel := context.WithCancel(s.Context())
	var reading sync.WaitGroup
	reading.Go(func() {
		_ = s.hub.Follow(ctx, bus.Start{}, s.take, func(string, error) {})
	})
	reading.Go(func() { _ = s.hub.FollowHeartbeats(ctx, s.beat) })
	s.Cleanup(func() {
		cancel()
		reading.Wait()
	})
}

func (s *stage) take(m bus.Message) {
	e, err := event.Decode(m.Data)
	if err != nil {
		s.Error(err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[KeyOf(m.Subject.Cluster, &e)]++
	s.told[SaidBy(m.Subject.Cluster, &e)]++
	life := m.Subject.Cluster + e.Epoch
	if e.Sequence < s.order[life] {
		s.late++
	}
	s.order[life] = max(s.order[life], e.Sequence)
}

func (s *stage) beat(cluster string, h event.Heartbeat, _ time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beats[cluster] = h
}

// account waits until all that was committed is in the stream.
func (s *stage) account() Account {
	s.Helper()
	var a Account
	s.until("every event in the stream", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		a = s.fleet.Account(s.seen, nil)
		if len(a.Lost) > 0 {
			return fmt.Errorf("%d of %d are not, such as %+v", len(a.Lost), a.Committed, a.Lost[0])
		}
		return s.fleet.Drained()
	})
	return a
}

// tells waits until the steps that which selects are told by events.
func (s *stage) tells(which func([]Step) []Step) {
	s.Helper()
	s.until("every step to be told", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if untold := Untold(which(s.fleet.Ledger.Steps()), s.told); len(untold) > 0 {
			return fmt.Errorf("%d are not, such as %+v", len(untold), untold[0])
		}
		return nil
	})
}

func every(steps []Step) []Step { return steps }

func (s *stage) until(what string, done func() error) {
	s.Helper()
	check(s.T, kube.Wait(s.Context(), what, limit, func(context.Context) error { return done() }))
}

func (s *stage) events(n int) {
	s.Helper()
	s.until(fmt.Sprintf("%d events", n), func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.seen) < n {
			return fmt.Errorf("there are %d", len(s.seen))
		}
		return nil
	})
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAllThatHappensArrivesInOrder(t *testing.T) {
	s := newStage(t, Options{Clusters: 4, Objects: 12})
	s.events(8) // started and snapshot of each
	for _, c := range s.fleet.Clusters {
		c.Flood(50)
	}
	s.tells(every)
	a := s.account()
	if a.Committed < 4*52 || a.Once != a.Committed || s.late > 0 || len(s.fleet.Ledger.Steps()) != 200 {
		t.Errorf("%+v, %d late, %d steps", a, s.late, len(s.fleet.Ledger.Steps()))
	}
}

func TestWhatHappensInTheDarkArrivesLater(t *testing.T) {
	s := newStage(t, Options{Clusters: 2, Objects: 12})
	s.events(4)
	dark, other := s.fleet.Clusters[0], s.fleet.Clusters[1]
	dark.Network.Cut()
	dark.Flood(20)
	other.Flood(20)
	s.tells(func(all []Step) []Step {
		return slices.DeleteFunc(all, func(s Step) bool { return s.Cluster == dark.ID })
	})
	s.until("events that wait on the dark cluster", func() error {
		if state, _ := dark.State(); state.Waiting < 20 {
			return fmt.Errorf("%d wait", state.Waiting)
		}
		return nil
	})
	dark.Network.Heal()
	s.tells(every)
	if a := s.account(); len(a.Twice) > 0 {
		t.Errorf("twice: %+v", a.Twice)
	}
}

func TestDuplicatesAndDisorderReachTheStream(t *testing.T) {
	s := newStage(t, Options{Clusters: 1, Objects: 12})
	c := s.fleet.Clusters[0]
	s.events(2)
	c.Disturb(0.3, 0.3)
	c.Flood(100)
	s.until("100 events", func() error {
		if state, _ := c.State(); state.Sequence < 100 || state.Waiting > 0 {
			return fmt.Errorf("%+v", state)
		}
		return nil
	})
	check(t, c.Calm(t.Context()))
	s.tells(every)
	a := s.account()
	if len(a.Twice) == 0 || s.late == 0 {
		t.Errorf("%d twice, %d late, want some of both", len(a.Twice), s.late)
	}
}

func TestAClockThatIsOffShowsInHeartbeats(t *testing.T) {
	s := newStage(t, Options{Clusters: 1, Objects: 4})
	s.fleet.Clusters[0].Skew(5 * time.Minute)
	s.until("a heartbeat that is 5 minutes early", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if ahead := time.Until(s.beats[Name(0)].Time); ahead < 4*time.Minute {
			return fmt.Errorf("the last one is %s ahead", ahead)
		}
		return nil
	})
}

func TestAnAgentThatIsKilledSendsWhatItHadCommitted(t *testing.T) {
	s := newStage(t, Options{Clusters: 1, Objects: 12})
	c := s.fleet.Clusters[0]
	s.events(2)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	check(t, c.Kill(ctx))
	if a := s.fleet.Account(s.seen, nil); len(a.Lost) == 0 {
		t.Error("nothing was between commit and publish")
	}
	c.Flood(10)
	c.World.Settle()
	check(t, c.Start(t.Context()))
	s.tells(Last)
	if a := s.account(); len(s.fleet.Lives()) != 1 || len(a.Twice) > 0 {
		t.Errorf("%d lives, %+v", len(s.fleet.Lives()), a)
	}
}

func TestAnOutboxThatIsLostBeginsANewEpoch(t *testing.T) {
	s := newStage(t, Options{Clusters: 1, Objects: 12})
	c := s.fleet.Clusters[0]
	s.events(2)
	first, _ := c.State()
	check(t, c.Stop())
	check(t, c.DeleteOutbox())
	check(t, c.Start(t.Context()))
	s.events(4)
	if second, _ := c.State(); second.Epoch <= first.Epoch || second.Sequence != 2 {
		t.Errorf("%+v after %+v", second, first)
	}
	if a := s.account(); a.Committed != 4 {
		t.Errorf("%+v", a)
	}
}
