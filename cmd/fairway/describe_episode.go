package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/spf13/cobra"
)

const formatText format = "text"

type episodeReader interface {
	Episode(ctx context.Context, id string) (rest.EpisodeDetail, error)
	Episodes(ctx context.Context, f client.Filter) (rest.EpisodeList, error)
}

func newDescribeEpisode(sh *shell, conn *connection, connect func(context.Context) (episodeReader, error)) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:     "episode ID",
		Aliases: []string{"episodes", "ep"},
		Short:   "Show a failure: what, where, since when, and the last lines that the container wrote",
		Long: `Show a failure: what, where, since when, and the last lines that the container wrote. The start of an id is enough
where only one episode has it.`,
		Example: sh.examples("describe episode 0193a7"),
		Args:    exactlyOne(sh, "describe episode", "episode's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := conn.bound(cmd.Context())
			defer cancel()
			h, err := connect(ctx)
			if err != nil {
				return err
			}
			e, err := findEpisode(ctx, sh, h, args[0])
			if err != nil {
				return err
			}
			switch out.format {
			case formatJSON:
				return writeJSON(cmd.OutOrStdout(), e, "  ")
			case formatYAML:
				return writeYAML(cmd.OutOrStdout(), e)
			}
			return sh.writeEpisode(cmd.OutOrStdout(), e)
		},
	}
	out.addFlags(cmd, formatText, formatJSON, formatYAML)
	return cmd
}

// findEpisode reads an episode by its id, or by the start of it when that is one episode's only.
func findEpisode(ctx context.Context, sh *shell, h episodeReader, id string) (rest.EpisodeDetail, error) {
	e, err := h.Episode(ctx, id)
	if !client.IsNotFound(err) {
		return e, err
	}
	found, err := h.Episodes(ctx, client.Filter{Resolved: true})
	if err != nil {
		return e, fmt.Errorf("there is no episode %q; look for others: %w", id, err)
	}
	var starts, have []string
	for _, candidate := range found.Items {
		have = append(have, candidate.ID)
		if strings.HasPrefix(candidate.ID, id) {
			starts = append(starts, candidate.ID)
		}
	}
	switch len(starts) {
	case 0:
		return e, sh.missing("episode", id, "get episodes --resolved", have)
	case 1:
		return h.Episode(ctx, starts[0])
	}
	return e, &client.Error{
		Op: fmt.Sprintf("find episode %q", id), Err: errors.New("several start like this"),
		Fix: "write more of it: " + strings.Join(starts[:min(len(starts), 5)], ", "),
	}
}

func (s *shell) writeEpisode(w io.Writer, e rest.EpisodeDetail) error {
	word, l := episodeState(e.Episode)
	restarts, exit := "", ""
	if e.Restarts > 0 {
		restarts = fmt.Sprint(e.Restarts)
	}
	if e.ExitCode != nil {
		exit = fmt.Sprint(*e.ExitCode)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", s.paint(l, episodeGlyph(word)+" "+clean(e.Reason)+" "+word), clean(e.ID))
	for _, line := range []struct{ name, value string }{
		{"Object", e.Object}, {"Cluster", sentence(", ", e.Cluster, e.Environment, e.Cloud)},
		{"Service", sentence("/", e.Team, e.Service)}, {"Artifact", e.Artifact}, {"Revision", e.Revision},
		{"Applied by", e.Owner}, {"Pod", e.Pod}, {"Container", e.Container}, {"Exit code", exit}, {"Restarts", restarts},
		{"Opened", s.moment(e.OpenedAt)}, {"Resolved", s.moment(e.ResolvedAt)}, {"Not before", s.moment(e.ResolvedAfter)}, {"Resolved by", e.ResolvedBy},
		{"Signature", e.Signature}, {"Runbook", e.Runbook}, {"Message", e.Message},
	} {
		if line.value != "" {
			fmt.Fprintf(&b, "%-12s %s\n", line.name, strings.ReplaceAll(clean(line.value), "\n", "\n             "))
		}
	}
	if len(e.Lines) > 0 {
		b.WriteString("Last lines of the container that died\n")
		for _, line := range e.Lines {
			b.WriteString("│ " + oneLine(line) + "\n")
		}
	}
	s.similar(&b, e.Similar)
	_, err := io.WriteString(w, b.String())
	return err
}

// similar tells of the same failure elsewhere, and what ended it there.
func (s *shell) similar(b *strings.Builder, similar []rest.SimilarEpisode) {
	if len(similar) > 0 {
		b.WriteString("The same failure on other clusters or days\n")
	}
	for _, e := range similar {
		end := "not resolved"
		if !e.ResolvedAt.IsZero() {
			end = sentence(": ", lasted(e)+age(e.ResolvedAt, e.OpenedAt), e.ResolvedBy)
		}
		was, then := sentence(" ", e.Artifact, shortRevision(e.Revision)), sentence(" ", e.ResolvedArtifact, shortRevision(e.ResolvedRevision))
		if then == was {
			then = ""
		}
		fmt.Fprintf(b, "│ %s  %s\n", s.zoned(e.OpenedAt), clean(sentence("  ", e.Cluster, e.Object, end, sentence(" -> ", was, then), "episode "+e.ID)))
	}
}

// lasted is what is said before how long it lasted: of one that a snapshot ended, the end is not known better.
func lasted(e rest.SimilarEpisode) string {
	if e.ResolvedAfter.IsZero() {
		return "resolved after "
	}
	return "resolved within "
}

func episodeGlyph(state string) string {
	return map[string]string{"Resolved": "✔", "Unknown": "⚠", "Open": "✗"}[state]
}

// moment is a time in the user's zone, with how long ago it was.
func (s *shell) moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.In(s.zone).Format("2006-01-02 15:04:05 MST") + ", " + ago(s.now(), at)
}

// episodeLines tell an open episode below its object: one line, then its last log lines.
func episodeLines(e rest.Episode, now time.Time) []string {
	word, _ := episodeState(e)
	out := []string{fmt.Sprintf("%s %s  %s  episode %s", strings.ToLower(word), ago(now, e.OpenedAt),
		cause(e.Reason, e.Container, e.ExitCode, e.Restarts), e.ID)}
	if e.Message != "" {
		out = append(out, head(e.Message, 3))
	}
	const most = 5 // lines; all of them are in describe episode
	for _, line := range e.Lines[max(0, len(e.Lines)-most):] {
		out = append(out, "│ "+oneLine(line))
	}
	return out
}

// cause is why something failed: "CrashLoopBackOff, container app, exit code 1, 7 restarts".
func cause(reason, container string, exit *int32, restarts int32) string {
	parts := []string{reason}
	if container != "" {
		parts = append(parts, "container "+container)
	}
	if exit != nil {
		parts = append(parts, fmt.Sprintf("exit code %d", *exit))
	}
	if restarts > 0 {
		parts = append(parts, count(int(restarts), "restart"))
	}
	return strings.Join(parts, ", ")
}
