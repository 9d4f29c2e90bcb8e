package stories

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// A failure is one episode, that is opened once and resolved once. The two fail at the same time, on a cluster
// each: most of a story is the minute for which what was mended has to stay well.
func TestCrash(t *testing.T) {
	t.Run("a podinfo that exits on start", func(t *testing.T) { t.Parallel(); exitsOnStart(t) })
	t.Run("a ConfigMap that is missing", func(t *testing.T) { t.Parallel(); lacksItsConfigMap(t) })
}

// A podinfo that exits on start gives one episode.opened with its real last lines, and one
// resolved when it is mended; the pods that ran before go on running.
func exitsOnStart(t *testing.T) {
	const id, bad = fleet.AWS, "main-bad0000-0001"
	since := time.Now()
	commit(t, "release a podinfo that exits on start", merge(
		fleet.ArtifactFiles(bad, "--random-delay-min=10", "--random-delay-max=5"), fleet.Files{fleet.PointerPath(id): fleet.Pointer(bad)}))
	syncFlux(t, id)

	opened := awaitEpisode(t, since, id, event.EpisodeOpened, "CrashLoopBackOff")
	if lines := strings.Join(opened.Lines, "\n"); !strings.Contains(lines, "random-delay-max") {
		t.Errorf("last lines do not say why it died:\n%s", lines)
	}
	if opened.ExitCode == nil || *opened.ExitCode == 0 {
		t.Errorf("exit code = %v, want the real one", opened.ExitCode)
	}
	text := bank.MustFairway(t, "events", "--since", "10m", "--kind", "episode", "--cluster", id)
	if !strings.Contains(text, "random-delay-max") || !strings.Contains(text, "CrashLoopBackOff") {
		t.Errorf("fairway events does not show the crash:\n%s", text)
	}
	t.Logf("what on-call sees:\n%s", text)
	if ready := readyReplicas(t, id); ready < 1 {
		t.Errorf("the pods that ran before are gone: %d ready", ready)
	}

	commit(t, "roll back podinfo", fleet.Files{fleet.PointerPath(id): fleet.Pointer(fleet.Artifact)})
	syncFlux(t, id)
	awaitEpisode(t, since, id, event.EpisodeResolved, "CrashLoopBackOff")
	exactlyOnce(t, since, id, "CrashLoopBackOff")
}

// A Deployment that names a missing ConfigMap gives one episode that names it.
func lacksItsConfigMap(t *testing.T) {
	const id, bad = fleet.Azure, "main-bad0000-0002"
	since := time.Now()
	files := fleet.ArtifactFiles(bad)
	for path, content := range files {
		files[path] = strings.Replace(content, "        ports: [", "        envFrom: [{configMapRef: {name: podinfo-settings}}]\n        ports: [", 1)
	}
	files[fleet.PointerPath(id)] = fleet.Pointer(bad)
	commit(t, "release a podinfo whose ConfigMap is missing", files)
	syncFlux(t, id)

	opened := awaitEpisode(t, since, id, event.EpisodeOpened, "CreateContainerConfigError")
	if !strings.Contains(opened.Message, "podinfo-settings") {
		t.Errorf("message %q does not name the ConfigMap", opened.Message)
	}
	t.Logf("message: %s", opened.Message)

	commit(t, "roll back podinfo", fleet.Files{fleet.PointerPath(id): fleet.Pointer(fleet.Artifact)})
	syncFlux(t, id)
	awaitEpisode(t, since, id, event.EpisodeResolved, "CreateContainerConfigError")
	exactlyOnce(t, since, id, "CreateContainerConfigError")
}

// episodes are the episode events of podinfo's Deployment on a cluster since a time, of one type
// and reason, as the hub lists them.
func episodes(ctx context.Context, since time.Time, id string, typ event.Type, reason string) (found []event.Episode, err error) {
	all, err := bank.Events(ctx, since, id)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if e.Type != typ || e.Object() != (event.Object{Kind: "Deployment", Namespace: fleet.Team, Name: fleet.Service}) {
			continue
		}
		var episode event.Episode
		if err := e.Payload(&episode); err != nil {
			return nil, err
		}
		if episode.Reason == reason {
			found = append(found, episode)
		}
	}
	return found, nil
}

func awaitEpisode(t *testing.T, since time.Time, id string, typ event.Type, reason string) event.Episode {
	t.Helper()
	var found []event.Episode
	eventually(t, 4*time.Minute, fmt.Sprintf("%s %s on %s", reason, typ.What(), id), func(ctx context.Context) (bool, string) {
		var err error
		found, err = episodes(ctx, since, id, typ, reason)
		return len(found) > 0, fmt.Sprintf("%d such events, error %v", len(found), err)
	})
	return found[0]
}

func exactlyOnce(t *testing.T, since time.Time, id, reason string) {
	t.Helper()
	for _, typ := range []event.Type{event.EpisodeOpened, event.EpisodeResolved} {
		found, err := episodes(t.Context(), since, id, typ, reason)
		if err != nil || len(found) != 1 {
			t.Errorf("%s %s: %d events (error %v), want exactly 1: %+v", reason, typ.What(), len(found), err, found)
		}
	}
}
