package view

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

func TestAFailureIsAttributed(t *testing.T) {
	type member struct {
		cluster, cloud, artifact string
		fails                    string // signature of its episode; "": none
		rolling, silent          bool
	}
	fine := func(cluster, cloud string) member { return member{cluster: cluster, cloud: cloud, artifact: "main-2"} }
	bad := func(cluster, cloud, signature string) member {
		return member{cluster: cluster, cloud: cloud, artifact: "main-2", fails: signature}
	}
	for name, test := range map[string]struct {
		members []member
		want    []rest.Attribution
	}{
		"nothing fails": {
			members: []member{fine("a", "AWS"), fine("z", "Azure")}, want: []rest.Attribution{}},
		"one cloud fails and the other does not: it is about the cloud": {
			members: []member{fine("a", "AWS"), bad("y", "Azure", "s"), bad("z", "Azure", "s")},
			want: []rest.Attribution{{Artifact: "main-2", Scope: rest.ScopeCloud, Message: "fails on Azure only: cluster-specific",
				Failing: []string{"y", "z"}, Healthy: []string{"a"}, Signature: "s"}}},
		"everything fails in the same way: it is about the artifact": {
			members: []member{bad("a", "AWS", "s"), bad("z", "Azure", "s")},
			want: []rest.Attribution{{Artifact: "main-2", Scope: rest.ScopeArtifact, Message: "fails everywhere (AWS and Azure): artifact-specific",
				Failing: []string{"a", "z"}, Signature: "s"}}},
		"everything fails, each in its own way": {
			members: []member{bad("a", "AWS", "s"), bad("z", "Azure", "other")},
			want: []rest.Attribution{{Artifact: "main-2", Scope: rest.ScopeArtifact, Message: "fails everywhere (AWS and Azure), in different ways: artifact-specific",
				Failing: []string{"a", "z"}}}},
		"one of two clusters of a cloud fails: it is about the cluster": {
			members: []member{bad("a", "AWS", "s"), fine("b", "AWS"), fine("z", "Azure")},
			want: []rest.Attribution{{Artifact: "main-2", Scope: rest.ScopeCluster, Message: "fails on a only: cluster-specific",
				Failing: []string{"a"}, Healthy: []string{"b", "z"}, Signature: "s"}}},
		"it runs on one cluster only: nobody can tell": {
			members: []member{bad("a", "AWS", "s"), {cluster: "z", cloud: "Azure", artifact: "main-1"}},
			want: []rest.Attribution{{Artifact: "main-2", Scope: rest.ScopeOpen, Message: "fails on a, and runs in health nowhere: too early to tell",
				Failing: []string{"a"}, Signature: "s"}}},
		"the others are rolling out still": {
			members: []member{bad("a", "AWS", "s"), bad("b", "AWS", "s"), {cluster: "z", cloud: "Azure", artifact: "main-2", rolling: true}},
			want: []rest.Attribution{{Artifact: "main-2", Scope: rest.ScopeOpen,
				Message: "fails on a, b, and runs in health nowhere; not known yet on z: too early to tell",
				Failing: []string{"a", "b"}, Undecided: []string{"z"}, Signature: "s"}}},
		"a silent cluster is no witness, neither of failure nor of health": {
			members: []member{bad("a", "AWS", "s"), fine("b", "AWS"), {cluster: "z", cloud: "Azure", artifact: "main-2", fails: "s", silent: true}},
			want: []rest.Attribution{{Artifact: "main-2", Scope: rest.ScopeCluster, Message: "fails on a only: cluster-specific; not known yet on z",
				Failing: []string{"a"}, Healthy: []string{"b"}, Undecided: []string{"z"}, Signature: "s"}}},
		"each artifact is judged by those that run it": {
			members: []member{bad("a", "AWS", "s"), bad("b", "AWS", "s"), {cluster: "z", cloud: "Azure", artifact: "main-1", fails: "t"}, {cluster: "y", cloud: "Azure", artifact: "main-1"}},
			want: []rest.Attribution{
				{Artifact: "main-1", Scope: rest.ScopeCluster, Message: "fails on z only: cluster-specific", Failing: []string{"z"}, Healthy: []string{"y"}, Signature: "t"},
				{Artifact: "main-2", Scope: rest.ScopeArtifact, Message: "fails everywhere (AWS): artifact-specific", Failing: []string{"a", "b"}, Signature: "s"}}},
	} {
		t.Run(name, func(t *testing.T) {
			v := newView(t)
			for _, m := range test.members {
				typ := event.WorkloadAvailable
				if m.rolling {
					typ = event.WorkloadRolling
				}
				begin := runs
				if m.silent {
					begin = silently
				}
				a := begin(t, v, m.cluster, m.cloud, m.artifact, typ)
				if m.fails != "" {
					e := a.episode(event.EpisodeOpened, ledger, event.Episode{ID: m.cluster + "-1", Reason: "CrashLoopBackOff", Signature: m.fails})
					e.Artifact, e.Cloud = m.artifact, m.cloud
					a.fold(v, e)
				}
			}
			for i := range test.want {
				w := &test.want[i]
				w.Reasons = []string{"CrashLoopBackOff"}
				for _, cluster := range w.Failing {
					w.Episodes = append(w.Episodes, cluster+"-1")
				}
				w.Healthy, w.Undecided = append([]string{}, w.Healthy...), append([]string{}, w.Undecided...)
			}
			if _, got := prod(t, v); cmp.Diff(test.want, got.Failures) != "" {
				t.Errorf("(-want +got):\n%s", cmp.Diff(test.want, got.Failures))
			}
		})
	}
}
