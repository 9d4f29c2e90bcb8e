package stories

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// resumes reads two events by a durable consumer of the dashboard's name, one a call: the second call goes on
// after the first.
func resumes(t *testing.T, d *dashboard) {
	d.must(t, "consumer", "add", event.StreamEvents, d.name, "--pull", "--deliver", "all", "--ack", "explicit", "--replay", "instant", "--defaults")
	next := func() string {
		e, err := event.Decode(bytes.TrimSpace(d.must(t, "consumer", "next", event.StreamEvents, d.name, "--count", "1", "--raw", "--ack")))
		if err != nil {
			t.Fatal(err)
		}
		return e.ID
	}
	if first, second := next(), next(); first == second {
		t.Errorf("event %s came twice", first)
	}
	d.must(t, "consumer", "rm", event.StreamEvents, d.name, "--force")
}

// onlyReads tries what a dashboard may not do; NATS refuses each, and nothing has changed afterwards.
func onlyReads(t *testing.T, d *dashboard) {
	other := newDashboard(t, "story-other")
	other.must(t, "consumer", "add", event.StreamEvents, other.name, "--pull", "--deliver", "all", "--ack", "explicit", "--replay", "instant", "--defaults")
	defer other.must(t, "consumer", "rm", event.StreamEvents, other.name, "--force")
	first := d.firstSequence(t)
	// In a group of their own, since each waits for an answer that does not come; the group ends when all have.
	t.Run("anything else", func(t *testing.T) { everythingElse(t, d, other) })
	if now := d.firstSequence(t); now != first {
		t.Errorf("the stream begins at %d, and did at %d", now, first)
	}
	other.must(t, "consumer", "info", event.StreamEvents, other.name)
}

func everythingElse(t *testing.T, d, other *dashboard) {
	for what, args := range map[string]string{
		"publish an event":                   "pub " + event.OfCluster(fleet.AWS, event.KindFlux).String() + " {} --jetstream",
		"publish a heartbeat":                "pub " + event.Heartbeats(fleet.AWS).String() + " {} --jetstream",
		"command an agent":                   "request " + event.Commands(fleet.AWS).String() + " resync",
		"delete another's consumer":          "consumer rm " + event.StreamEvents + " " + other.name + " --force",
		"list consumers":                     "consumer ls " + event.StreamEvents,
		"purge the stream":                   "stream purge " + event.StreamEvents + " --force",
		"delete the stream":                  "stream rm " + event.StreamEvents + " --force",
		"change the stream":                  "stream edit " + event.StreamEvents + " --max-age 1s --force",
		"delete a message":                   "stream rmm " + event.StreamEvents + " 1 --force",
		"make a stream":                      "stream add MINE --subjects mine.> --defaults",
		"list streams":                       "stream ls",
		"look at the heartbeats":             "stream info " + event.StreamHeartbeats,
		"read the heartbeats":                "sub --stream " + event.StreamHeartbeats + " --all --count 1 --wait 3s",
		"consume the heartbeats":             "consumer add " + event.StreamHeartbeats + " " + d.name + " --pull --defaults",
		"read a heartbeat by its sequence":   "stream get " + event.StreamHeartbeats + " 1",
		"look at the account":                "account info",
		"list the streams of all accounts":   "server report jetstream",
		"listen to the agents' own subjects": "sub fleet.v1.> --count 1 --wait 3s",
		"listen to others' replies":          "sub _INBOX.> --count 1 --wait 3s",
	} {
		t.Run("cannot "+what, func(t *testing.T) {
			t.Parallel()
			// NATS tells of a refusal on the side; nats waits for the answer until its time is over.
			out, err := d.nats(t.Context(), append([]string{"--timeout", "2s"}, strings.Fields(args)...)...).CombinedOutput()
			if !strings.Contains(strings.ToLower(string(out)), "permissions violation") {
				t.Errorf("nats %s: error %v, want a permissions violation:\n%s", args, err, out)
			}
		})
	}
}

func (d *dashboard) firstSequence(t *testing.T) uint64 {
	t.Helper()
	var info struct {
		State struct {
			FirstSeq uint64 `json:"first_seq"`
		}
	}
	if err := json.Unmarshal(d.must(t, "stream", "info", event.StreamEvents, "--json"), &info); err != nil || info.State.FirstSeq == 0 {
		t.Fatalf("stream info: %+v, %v", info, err)
	}
	return info.State.FirstSeq
}

// AsyncAPI's own parser, which no part of Fairway uses, accepts the document that the hub publishes.
func TestOutsideParserAcceptsTheAsyncAPIDocument(t *testing.T) {
	t.Parallel()
	dir, err := filepath.Abs("../tools/asyncapi")
	if err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	_, document := call(t.Context(), t, "/api/v1/asyncapi", bank.Platform.AdminToken())
	accept := exec.CommandContext(t.Context(), "node", "accept.mjs")
	accept.Dir, accept.Stdin = dir, strings.NewReader(document)
	out, err := accept.CombinedOutput()
	if err != nil {
		t.Fatalf("refused: %v\n%s", err, out)
	}
	for _, address := range []string{"fleet.v1.evt.{cluster}.{kind} ", "fleet.v1.hb.{cluster} "} {
		if !strings.Contains(string(out), address) {
			t.Errorf("the parser finds no channel %s:\n%s", address, out)
		}
	}
}
