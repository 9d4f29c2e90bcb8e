package stories

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fairway-dev/fairway/api/event"
)

// CloudEvents' own JavaScript SDK, which no part of Fairway uses, accepts every event of the run.
// The file's name puts the story last, so that it sees the events of all others.
func TestOutsideLibraryAcceptsEveryEvent(t *testing.T) {
	dir, err := filepath.Abs("../tools/cloudevents")
	if err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	lines, seen := publishedEvents(t)
	total := bytes.Count(lines, []byte("\n"))
	for _, kind := range []event.Kind{event.KindCluster, event.KindFlux, event.KindWorkload, event.KindAgent} {
		if seen[kind] == 0 {
			t.Errorf("no %s event in the run: %v", kind, seen)
		}
	}
	accept := exec.CommandContext(t.Context(), "node", "accept.mjs")
	accept.Dir, accept.Stdin = dir, bytes.NewReader(lines)
	out, err := accept.CombinedOutput()
	if err != nil {
		t.Fatalf("refused: %v\n%s", err, out)
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(out))); err != nil || n != total {
		t.Errorf("accepted %s of %d events", out, total)
	}
	t.Logf("accepted %d events: %v", total, seen)
}

// publishedEvents are all events of the run as they were published, one a line, and how many there are of each kind.
func publishedEvents(t *testing.T) (lines []byte, seen map[event.Kind]int) {
	t.Helper()
	seen = map[event.Kind]int{}
	for cursor := ""; ; {
		status, body := call(t.Context(), t, "/api/v1/events?since=24h&limit=500&cursor="+url.QueryEscape(cursor), bank.Platform.AdminToken())
		var page struct {
			Next  string
			Items []struct{ Event json.RawMessage }
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || status != http.StatusOK {
			t.Fatalf("list events: status %d, error %v, body %.500s", status, err, body)
		}
		for _, item := range page.Items {
			e, err := event.Decode(item.Event)
			if err != nil {
				t.Errorf("%v: %s", err, item.Event)
			}
			seen[e.Type.Kind()]++
			lines = append(append(lines, item.Event...), '\n')
		}
		if cursor = page.Next; cursor == "" {
			return lines, seen
		}
	}
}
