package main

import (
	"strings"

	"github.com/fairway-dev/fairway/api/event"
)

// releaseText says who released what where, and how far that is; details are the last lines of the
// container that failed.
func releaseText(e event.Event) (text string, details []string, err error) {
	var p event.Release
	if err := e.Payload(&p); err != nil {
		return "", nil, err
	}
	return sentence("; ", p.String(), approvedBy(p), howFar(e.Type, p), sentence(": ", p.Reason, cut(p.Message, maxText))), p.Lines, nil
}

func approvedBy(p event.Release) string {
	var by []string
	for _, a := range p.Approvals {
		by = append(by, a.By)
	}
	if len(by) == 0 {
		return ""
	}
	return "approved by " + strings.Join(by, ", ")
}

// howFar is which clusters an event is about.
func howFar(typ event.Type, p event.Release) string {
	var names []string
	for _, c := range p.Clusters {
		names = append(names, c.Cluster)
	}
	where := cut(strings.Join(names, ", "), maxText)
	switch typ {
	case event.ReleaseCommitted:
		return sentence(" on ", shortRevision(p.Commit), where)
	case event.ReleaseWaveStarted, event.ReleaseWaveHealthy:
		return sentence(": ", "wave "+p.Wave, where)
	case event.ReleaseSucceeded:
		return "healthy on " + count(p.Total, "cluster")
	case event.ReleaseRolledBack:
		return sentence(" on ", shortRevision(p.RollbackCommit), where)
	}
	return ""
}

func artifactText(a event.Artifact) string {
	commit := a.Source.Commit
	return sentence(" ", a.Team+"/"+a.Service+" "+a.ID, sentence("@", a.Source.Branch, commit[:min(len(commit), 7)]), a.Source.Author)
}
