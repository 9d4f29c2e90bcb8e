package main

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/fairway-dev/fairway/operator/artifact"
)

// registryVariable names the registry of artifacts where --registry does not.
const registryVariable = "FAIRWAY_REGISTRY"

func newArtifact(sh *shell, conn *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "artifact",
		Aliases: []string{"artifacts"},
		Short:   "Push what can be released, and list it",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return sh.usage("artifact", "there is no %q; did you mean push or list?", strings.Join(args, " "))
			}
			return sh.usage("artifact", "say what: push or list")
		},
	}
	cmd.AddCommand(newArtifactPush(sh, conn), newArtifactList(sh, conn))
	return cmd
}

func addRegistryFlag(cmd *cobra.Command, registry *string) {
	cmd.Flags().StringVar(registry, "registry", "", "Where artifacts are, oci://host/path; without it "+registryVariable+", or what the Fleet's spec.artifacts says")
}

// artifacts is the store of artifacts that FAIRWAY_REGISTRY names, or the Fleet, with the credentials that docker login keeps.
func (c *connection) artifacts(ctx context.Context, platform kube.Client) (*artifact.Store, error) {
	return c.artifactsIn(ctx, "", func() (kube.Client, error) { return platform, nil })
}

// artifactsIn is the same, where a flag may name it. The platform is not needed unless it is asked.
func (c *connection) artifactsIn(ctx context.Context, registry string, platform func() (kube.Client, error)) (*artifact.Store, error) {
	url := cmp.Or(registry, c.env(registryVariable))
	if url == "" {
		var err error
		if url, err = registryOfFleet(ctx, platform); err != nil {
			return nil, err
		}
	}
	file := filepath.Join(cmp.Or(c.env("DOCKER_CONFIG"), filepath.Join(cmp.Or(c.env("HOME"), c.env("USERPROFILE")), ".docker")), "config.json")
	who, err := artifact.DockerFile(file)
	if err != nil {
		return nil, &client.Error{Op: "log in to the registry", Err: err, Fix: "mend " + file + ", or write it anew: docker login"}
	}
	store, err := artifact.New(url, who)
	if err != nil {
		return nil, &client.Error{Op: "open the registry", Err: err, Fix: "give it as oci://host/path"}
	}
	return store, nil
}

// registryOfFleet is where the Fleet says that artifacts are.
func registryOfFleet(ctx context.Context, platform func() (kube.Client, error)) (string, error) {
	const fix = "name it with --registry or " + registryVariable + ": oci://host/path"
	reader, err := platform()
	if err != nil {
		// Not wrapped: the inner error's fix would count, and it does not say that the registry can be named.
		return "", &client.Error{Op: "find the registry", Err: errors.New(err.Error()), Fix: fix + "; or ask the platform: " + client.Fix(err)}
	}
	fleet := &fleetv1.Fleet{}
	if err := reader.Get(ctx, types.NamespacedName{Name: fleetv1.FleetName}, fleet); err != nil {
		return "", &client.Error{Op: "find the registry in the Fleet", Err: err, Fix: cmp.Or(fixOfPlatform(err), fix)}
	}
	if fleet.Spec.Artifacts == nil {
		return "", &client.Error{Op: "find the registry in the Fleet", Err: errors.New("it has no spec.artifacts, so that nothing can be released"), Fix: fix}
	}
	return fleet.Spec.Artifacts.URL, nil
}

// fixOfRegistry is what can be done about an error of the store.
func fixOfRegistry(err error) string {
	switch {
	case errors.Is(err, artifact.ErrUnauthorized):
		return "log in to it: docker login; the account needs the right to pull, and for a push the right to push"
	case errors.Is(err, context.DeadlineExceeded):
		return "the registry did not answer in time; try again, or give it longer with --timeout"
	case errors.Is(err, artifact.ErrTaken):
		return "an id stands for one branch, commit and content for ever: push another commit, or delete the tag in the registry if nobody runs it"
	case errors.Is(err, artifact.ErrNotFound):
		return "check the address, and whether anything was pushed; some registries want a repository to be made before the first push"
	case errors.Is(err, artifact.ErrUnreachable):
		return "check the address and the network, and try again; it is spoken to with TLS, but for loopback addresses"
	}
	return ""
}

// artifactItem is an artifact as it is printed.
type artifactItem struct {
	ID      string `json:"id"`
	Service string `json:"service"`
	Digest  string `json:"digest"`
	fleetv1.ArtifactSource
}

func newArtifactItem(team, service string, a artifact.Artifact) artifactItem {
	return artifactItem{ID: a.ID, Service: team + "/" + service, Digest: a.Digest, ArtifactSource: a.Metadata}
}

// artifactDocument is artifacts in every form but that of their body.
func artifactDocument(sh *shell, body any, items []artifactItem) document {
	d := document{body: body, table: table{columns: []column{
		{title: "ARTIFACT"}, {title: "BRANCH", most: 40}, {title: "COMMIT"}, {title: "AUTHOR", most: 40}, {title: "AGE"},
		{title: "DIGEST", wide: true}, {title: "SOURCE", wide: true}, {title: "CI", wide: true},
	}}}
	for _, a := range items {
		d.names = append(d.names, a.ID)
		commit := a.Commit
		if len(commit) > 7 {
			commit = commit[:7]
		}
		d.table.rows = append(d.table.rows, row{key: a.ID, cells: []cell{
			text(a.ID), text(a.Branch), text(commit), text(a.Author), clock(age(sh.now(), a.Created.Time)),
			text(a.Digest), text(a.Repository), text(a.CI),
		}})
	}
	return d
}

// refusedArtifact is an error of the store, with what can be done about it.
func refusedArtifact(verb string, err error) error {
	return &client.Error{Op: verb, Err: err, Fix: fixOfRegistry(err)}
}
