package stories

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// dashboard is somebody with NATS' own command line and the credentials that Fairway's gave them.
type dashboard struct {
	program string
	name    string
	args    []string
	home    string
}

func newDashboard(t *testing.T, name string) *dashboard {
	t.Helper()
	built, err := tools.Build(t.Context(), tools.Options{Progress: os.Stderr}, tools.NATS)
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ URL, InboxPrefix, Creds, CA string }
	if err := json.Unmarshal([]byte(bank.MustFairway(t, "events", "credentials", "--name", name, "--expires", "1h", "-o", "json")), &made); err != nil {
		t.Fatal(err)
	}
	d := &dashboard{program: built.File(tools.NATS, "nats"), name: name, home: t.TempDir()}
	creds, ca := filepath.Join(d.home, "user.creds"), filepath.Join(d.home, "ca.crt")
	for path, text := range map[string]string{creds: made.Creds, ca: made.CA} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.args = []string{"--server", made.URL, "--creds", creds, "--tlsca", ca, "--inbox-prefix", made.InboxPrefix, "--no-context"}
	return d
}

// nats makes a command that sees no settings but these.
func (d *dashboard) nats(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.program, append(slices.Clone(d.args), args...)...)
	cmd.Env = []string{"HOME=" + d.home, "PATH=" + os.Getenv("PATH")}
	return cmd
}

func (d *dashboard) must(t *testing.T, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := d.nats(t.Context(), append([]string{"--timeout", "20s"}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("nats %v: %v\n%s%s", args, err, out, &stderr)
	}
	return out
}

// A dashboard reads FLEET_EVENTS with the official nats command line: it replays the last hour, follows
// what happens, and is refused anything else.
func TestDashboard(t *testing.T) {
	d := newDashboard(t, "story-dashboard")
	t.Run("replays the last hour", func(t *testing.T) { replays(t, d) })
	t.Run("follows live", func(t *testing.T) { follows(t, d) })
	t.Run("keeps its place in a durable consumer", func(t *testing.T) { resumes(t, d) })
	t.Run("is refused anything else", func(t *testing.T) { onlyReads(t, d) })
}

// replays holds what nats reads to what the hub lists, and each event to the schema that the hub publishes.
func replays(t *testing.T, d *dashboard) {
	listed, err := bank.Events(t.Context(), time.Now().Add(-55*time.Minute), "")
	if err != nil {
		t.Fatal(err)
	}
	out := d.must(t, "sub", "--stream", event.StreamEvents, "--since", "1h", "--terminate-at-end", "--raw")
	read, schemas := map[string]event.Type{}, map[event.Type]*jsonschema.Schema{}
	for line := range bytes.Lines(out) {
		e, err := event.Decode(bytes.TrimSpace(line))
		if err != nil {
			continue // a stranger of another story may write what is no event, on its own subjects
		}
		if read[e.ID] != "" {
			t.Errorf("event %s was read twice", e.ID)
		}
		read[e.ID] = e.Type
		if schemas[e.Type] == nil {
			schemas[e.Type] = publishedSchema(t, e.Type)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := schemas[e.Type].Validate(doc); err != nil {
			t.Errorf("%s\nis not of its schema: %v", line, err)
		}
	}
	for _, e := range listed {
		if read[e.ID] == "" {
			t.Errorf("%s %s of %s is listed by the hub and was not read", e.Type, e.Subject, e.Source)
		}
	}
	t.Logf("%d events of %d types were read; each is of its schema, and the %d that the hub lists are among them", len(read), len(schemas), len(listed))
}

func publishedSchema(t *testing.T, typ event.Type) *jsonschema.Schema {
	t.Helper()
	status, body := call(t.Context(), t, "/api/v1/schemas/"+string(typ), bank.Platform.AdminToken())
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil || status != http.StatusOK {
		t.Fatalf("schema of %s: status %d, error %v, body %.500s", typ, status, err, body)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(string(typ), doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile(string(typ))
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// follows reads on while something changes on every cluster.
func follows(t *testing.T, d *dashboard) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cmd := d.nats(ctx, "sub", "--stream", event.StreamEvents, "--since", "1h", "--raw")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := &applied{revisions: map[string]map[string]bool{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(out)
		for lines.Buffer(nil, 2*event.MaxSize); lines.Scan(); {
			seen.note(lines.Bytes())
		}
	}()
	defer func() { stop(); <-read; _ = cmd.Wait() }() // it was killed

	eventually(t, time.Minute, "nats reads what there is", func(context.Context) (bool, string) { return seen.any(), "nothing was read" })
	revision := commit(t, "for the dashboard", fleet.Files{fleet.NotePath: fleet.Note(int(time.Now().Unix()))})
	for _, id := range members {
		syncFlux(t, id)
	}
	for _, id := range members {
		eventually(t, time.Minute, fmt.Sprintf("nats reads that %s applied %.8s", id, revision), func(context.Context) (bool, string) {
			return seen.has(id, revision), seen.state(id)
		})
	}
}

// applied are the revisions that clusters say they applied.
type applied struct {
	mu        sync.Mutex
	revisions map[string]map[string]bool
}

func (a *applied) note(line []byte) {
	e, err := event.Decode(bytes.Clone(line))
	var flux event.Flux
	if err != nil || e.Type.Kind() != event.KindFlux || e.Payload(&flux) != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.revisions[e.Cluster()] == nil {
		a.revisions[e.Cluster()] = map[string]bool{}
	}
	a.revisions[e.Cluster()][flux.AppliedRevision] = true
}

func (a *applied) any() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.revisions) > 0
}

func (a *applied) has(cluster, commit string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for revision := range a.revisions[cluster] {
		if strings.HasSuffix(revision, commit) {
			return true
		}
	}
	return false
}

func (a *applied) state(cluster string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprint(slices.Sorted(maps.Keys(a.revisions[cluster])))
}
