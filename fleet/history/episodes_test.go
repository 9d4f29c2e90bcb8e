package history

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/view"
)

// ends is how an episode stands.
type ends struct {
	Opened, After, Resolved time.Time
	By                      string
}

func endsOf(e rest.Episode) ends {
	return ends{e.OpenedAt, e.ResolvedAfter, e.ResolvedAt, e.ResolvedBy}
}

var crash = event.Episode{ID: "e1", Reason: event.ReasonCrashLoop, Container: "app", Signature: "sig"}

// script publishes what one cluster says; at counts its events.
type script struct{ *tape }

func (s script) say(epoch string, typ event.Type) *event.Event {
	p := crash
	if typ == event.EpisodeResolved {
		p.ResolvedBy = "rollout available"
	}
	return s.publish("a", epoch, typ, ledger, p)
}

func (s script) snapshot(epoch, id string, part, parts int, open ...*event.Event) *event.Event {
	p := event.Snapshot{ID: id, Part: part, Parts: parts}
	for _, e := range open {
		p.Entries = append(p.Entries, e.Entry())
	}
	return s.publish("a", epoch, event.AgentSnapshot, event.Object{}, p)
}

// late takes the last message away and returns how it comes after all.
func (s script) late() (arrive func()) {
	last := s.messages[len(s.messages)-1]
	s.messages = s.messages[:len(s.messages)-1]
	return func() {
		last.Sequence, last.Stored = uint64(len(s.messages)+1), s.now
		s.messages = append(s.messages, last)
	}
}

func second(n int) time.Time { return start.Add(time.Duration(n)*time.Second - time.Second/2) }

func TestAnEpisodeThatNoEventResolved(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(s script)
		want ends
	}{
		"is over by the snapshot that lacks it": {
			do: func(s script) {
				s.say(epoch1, event.EpisodeOpened)
				s.say(epoch1, event.EpisodeResolved)
				s.late()
				s.snapshot(epoch1, "s", 1, 1)
			},
			want: ends{second(1), second(1), second(3), bySnapshot}},
		"was open as long as anything had it open": {
			do: func(s script) {
				e := s.say(epoch1, event.EpisodeOpened)
				s.say(epoch1, event.EpisodeChanged)
				s.snapshot(epoch1, "s", 1, 1, e)
				s.snapshot(epoch1, "t", 1, 1)
			},
			want: ends{second(1), second(3), second(4), bySnapshot}},
		"is open until the snapshot is whole": {
			do: func(s script) {
				s.say(epoch1, event.EpisodeOpened)
				s.snapshot(epoch1, "s", 1, 2)
			},
			want: ends{Opened: second(1)}},
		"is over by the last part of it": {
			do: func(s script) {
				s.say(epoch1, event.EpisodeOpened)
				s.snapshot(epoch1, "s", 1, 2)
				s.snapshot(epoch1, "s", 2, 2)
			},
			want: ends{second(1), second(1), second(2), bySnapshot}},
		"is over by the snapshot of another epoch": {
			do: func(s script) {
				s.say(epoch1, event.EpisodeOpened)
				s.snapshot(epoch2, "s", 1, 1)
			},
			want: ends{second(1), second(1), second(2), bySnapshot}},
		"is over also when it is heard of later than of the snapshot": {
			do: func(s script) {
				s.say(epoch1, event.EpisodeOpened)
				arrive := s.late()
				s.snapshot(epoch1, "s", 1, 1)
				arrive()
			},
			want: ends{second(1), second(1), second(2), bySnapshot}},
		"is over by the first snapshot that lacks it, in whatever order they come": {
			do: func(s script) {
				s.say(epoch1, event.EpisodeOpened)
				s.snapshot(epoch1, "s", 1, 1)
				arrive := s.late()
				s.snapshot(epoch1, "t", 1, 1)
				arrive()
			},
			want: ends{second(1), second(1), second(2), bySnapshot}},
		"is open again when it comes back": {
			do: func(s script) {
				s.say(epoch1, event.EpisodeOpened)
				s.snapshot(epoch1, "s", 1, 1)
				s.say(epoch1, event.EpisodeChanged)
			},
			want: ends{Opened: second(1)}},
		"is over as the event says that arrives after all": {
			do: func(s script) {
				s.say(epoch1, event.EpisodeOpened)
				s.say(epoch1, event.EpisodeResolved)
				arrive := s.late()
				s.snapshot(epoch1, "s", 1, 1)
				arrive()
			},
			want: ends{second(1), time.Time{}, second(2), "rollout available"}},
		"is heard of from a snapshot alone": {
			do: func(s script) {
				e := s.say(epoch1, event.EpisodeOpened)
				s.late()
				s.snapshot(epoch1, "s", 1, 1, e)
				s.snapshot(epoch1, "t", 1, 1)
			},
			want: ends{second(1), second(2), second(3), bySnapshot}},
	} {
		t.Run(name, func(t *testing.T) {
			s := script{newTape(t)}
			test.do(s)
			r := run(t, s.tape, path(t))
			r.add(t, s.messages...)
			e, err := r.Episode(t.Context(), "e1")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, endsOf(e)); diff != "" {
				t.Errorf("history (-want +got):\n%s", diff)
			}
			similar, err := r.Similar(t.Context(), "sig", "another")
			if err != nil || len(similar) != 1 {
				t.Fatalf("similar are %+v, %v", similar, err)
			}
			if got := (ends{similar[0].OpenedAt, similar[0].ResolvedAfter, similar[0].ResolvedAt, similar[0].ResolvedBy}); got != test.want {
				t.Errorf("similar says %+v, want %+v", got, test.want)
			}
			v := view.New(view.Options{})
			for _, m := range s.messages {
				apply(t, v, m)
			}
			if e, ok := v.Episode(s.now, "e1"); !ok || endsOf(e) != test.want {
				t.Errorf("the view says %+v", endsOf(e))
			}
		})
	}
}

func TestASnapshotIsWholeAlsoWhenTheHubStartsAgainBetweenItsParts(t *testing.T) {
	s, file := script{newTape(t)}, path(t)
	s.say(epoch1, event.EpisodeOpened)
	s.snapshot(epoch1, "s", 1, 2)
	s.snapshot(epoch1, "s", 2, 2)
	for _, m := range s.messages {
		r := run(t, s.tape, file)
		r.add(t, m)
		r.stop()
	}
	r := run(t, s.tape, file)
	if e, err := r.Episode(t.Context(), "e1"); err != nil || e.ResolvedBy != bySnapshot {
		t.Errorf("episode is %+v, %v", e, err)
	}
	if s := Markdown(rest.Timeline{Episode: &rest.Episode{ID: "e1", OpenedAt: second(1), ResolvedAfter: second(1), ResolvedAt: second(2)}}); !strings.Contains(s, "ended between 2026-11-22 08:00:00 and 2026-11-22 08:00:01") {
		t.Errorf("the timeline says %q", s)
	}
}

func TestAnEpisodeThatAnOlderFileHasOpenIsOverByTheNextSnapshot(t *testing.T) {
	s, file := script{newTape(t)}, path(t)
	write, read, err := open(t.Context(), file, migrations[:1])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := write.ExecContext(t.Context(), `INSERT INTO clusters (id, name) VALUES (1, 'a');
INSERT INTO episodes VALUES (1, 'e1', 7, 'prod', 'payments', 'ledger', 'sig', 'Deployment/payments/ledger', '', '', 1000, '{"id":"e1"}', 0, '', '', ''),
(1, 'e0', 9, 'prod', 'payments', 'ledger', 'sig', 'Deployment/payments/ledger', '', '', 1000, '{"id":"e0"}', 5000, 'rollout available', '', '')`); err != nil {
		t.Fatal(err)
	}
	write.Close()
	read.Close()
	s.snapshot(epoch1, "s", 1, 1)
	r := run(t, s.tape, file)
	r.add(t, s.messages...)
	for id, want := range map[string]ends{
		"e1": {timeOf(1000), timeOf(1000), second(1), bySnapshot},
		"e0": {timeOf(1000), time.Time{}, timeOf(5000), "rollout available"},
	} {
		if e, err := r.Episode(t.Context(), id); err != nil || endsOf(e) != want {
			t.Errorf("%s is %+v, %v; want %+v", id, endsOf(e), err, want)
		}
	}
}

// What clusters say of their episodes, in another order and twice, or not at all, the history tells as the view does.
func TestTheHistoryTellsOfEpisodesWhatTheViewDoes(t *testing.T) {
	all := newTape(t)
	r := run(t, all, path(t))
	checks := 0
	rapid.Check(t, func(rt *rapid.T) {
		checks++
		s := script{newTape(t)}
		s.now = all.now
		messages, sent := drawEpisode(rt, s), len(all.messages)
		v := view.New(view.Options{})
		for _, m := range messages {
			e, err := event.Decode(m.Data)
			if err != nil {
				rt.Fatal(err)
			}
			e.Epoch = fmt.Sprintf("%s-%06d", e.Epoch, checks) // of another life, and of another episode
			e.Data = bytes.ReplaceAll(e.Data, []byte(`"e1"`), fmt.Appendf(nil, `"e%d-"`, checks))
			all.store("a", &e)
		}
		if len(messages) == 0 {
			return
		}
		all.now = s.now
		r.add(t, all.messages[sent:]...)
		for _, m := range all.messages[sent:] {
			apply(t, v, m)
		}
		want, known := v.Episode(s.now, fmt.Sprintf("e%d-", checks))
		got, err := r.Episode(t.Context(), fmt.Sprintf("e%d-", checks))
		if known != (err == nil) {
			rt.Fatalf("the view has it: %v; the history: %v", known, err)
		}
		if diff := cmp.Diff(endsOf(want), endsOf(got)); known && diff != "" {
			rt.Fatalf("(-view +history):\n%s", diff)
		}
	})
}

// drawEpisode is what arrives of what a cluster says of one episode. Snapshots are whole.
func drawEpisode(t *rapid.T, s script) (out []bus.Message) {
	var open *event.Event
	for i := range rapid.IntRange(1, 12).Draw(t, "events") {
		sent, least := len(s.messages), 0
		switch rapid.IntRange(0, 3).Draw(t, "do") {
		case 0:
			open = s.say(epoch1, event.EpisodeOpened)
		case 1:
			open = s.say(epoch1, event.EpisodeChanged)
		case 2:
			s.say(epoch1, event.EpisodeResolved)
			open = nil
		case 3:
			var has []*event.Event
			if open != nil && rapid.Bool().Draw(t, "still") {
				has = append(has, open)
			}
			s.snapshot(epoch1, fmt.Sprint(i), 1, 2, has...)
			s.snapshot(epoch1, fmt.Sprint(i), 2, 2)
			least = 1
		}
		for _, m := range s.messages[sent:] {
			for range rapid.IntRange(least, 2).Draw(t, "copies") {
				out = append(out, m)
			}
		}
	}
	for from := 0; from < len(out); from += 4 { // never so late that the view gives up a snapshot
		some := out[from:min(from+4, len(out))]
		copy(some, rapid.Permutation(some).Draw(t, "order"))
	}
	return out
}
