package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/layers"
	"github.com/fairway-dev/fairway/clusters/preflight"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/fairway-dev/fairway/operator/artifact"
)

// notPushed stands for the id of an artifact that has none yet.
const notPushed = "not-pushed-0000000-0000"

func newCheckArtifact(sh *shell, conn *connection) *cobra.Command {
	v := &checkArtifactVerb{sh: sh, conn: conn}
	cmd := &cobra.Command{
		Use:   "artifact {FOLDER | --artifact ID} --env ENVIRONMENT",
		Short: "Check manifests against every cluster of an environment, before they are released",
		Long: `Check manifests against every cluster of an environment, before they are released: a folder, or an artifact of the registry.

For every cluster they are built and substituted with its values as Flux would: a variable that a cluster lacks, what kustomize cannot
build, and what a team's artifact may not have (another namespace, an object of the whole cluster) are named with the cluster and the
object. The clusters are those of the platform, or, where CI has no way there, those of a file that kubectl wrote.

It asks no cluster: kinds that one lacks, fields and what its admission denies are found by the operator's dry run, before a release
writes anything. The rules of the environment are policy simulate's.`,
		Example: sh.examples("check artifact ./manifests --service payments/ledger --env prod", "check artifact --artifact main-4f1c9d2-a81b --env staging,prod",
			"check artifact ./manifests --env prod --from fleet.yaml   # kubectl get fleets,workloadclusters -A -o yaml > fleet.yaml"),
		Args: atMostOne(sh, "check artifact"),
		RunE: v.run,
	}
	f := cmd.Flags()
	addServiceFlag(f, &v.service)
	f.StringVar(&v.artifact, "artifact", "", "This artifact of the registry, instead of a folder")
	f.StringSliceVarP(&v.environments, "env", "e", nil, "Environment; may be given several times")
	f.StringVar(&v.from, "from", "", "File with the Fleet and the WorkloadClusters, as kubectl get -o yaml prints them; - is stdin")
	alsoEnvironment(f)
	return cmd
}

type checkArtifactVerb struct {
	sh                      *shell
	conn                    *connection
	service, artifact, from string
	environments            []string
}

func (v *checkArtifactVerb) run(cmd *cobra.Command, args []string) error {
	switch {
	case (len(args) == 0) == (v.artifact == ""):
		return v.sh.usage("check artifact", "say what: a folder or --artifact, one of them")
	case len(v.environments) == 0:
		return v.sh.usage("check artifact", "say against what: --env prod")
	}
	service, err := v.conn.findID(v.sh, "check artifact", v.service, nil)
	if err != nil {
		return err
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	members, err := v.members(ctx, cmd.InOrStdin())
	if err != nil {
		return err
	}
	files, err := v.files(ctx, service, strings.Join(args, ""))
	if err != nil {
		return err
	}
	return v.check(cmd.OutOrStdout(), cmd.ErrOrStderr(), service, files, members)
}

// members are the clusters of the environments, sorted by id.
func (v *checkArtifactVerb) members(ctx context.Context, stdin io.Reader) ([]fleetv1.WorkloadCluster, error) {
	all, err := v.fleet(ctx, stdin)
	if err != nil {
		return nil, err
	}
	var have []string
	for _, c := range all {
		have = append(have, c.Spec.Environment)
	}
	for _, name := range v.environments {
		if !slices.Contains(have, name) {
			return nil, v.sh.missing("environment with clusters", name, "get clusters", unique(have))
		}
	}
	all = slices.DeleteFunc(all, func(c fleetv1.WorkloadCluster) bool { return !slices.Contains(v.environments, c.Spec.Environment) })
	slices.SortFunc(all, func(a, b fleetv1.WorkloadCluster) int { return cmp.Compare(a.ID(), b.ID()) })
	return all, nil
}

func (v *checkArtifactVerb) fleet(ctx context.Context, stdin io.Reader) ([]fleetv1.WorkloadCluster, error) {
	if v.from != "" {
		found, err := readWanted(v.from, stdin)
		return slices.DeleteFunc(found.clusters, observed), err
	}
	platform, err := v.conn.openReleases()
	if err != nil {
		return nil, err
	}
	return platform.members(ctx)
}

// observed says of a cluster that nothing is released to it: it follows no repository, or leaves.
func observed(c fleetv1.WorkloadCluster) bool {
	return c.Spec.Mode == fleetv1.ModeObserve || !c.DeletionTimestamp.IsZero()
}

// files are those of the folder, or of the artifact.
func (v *checkArtifactVerb) files(ctx context.Context, service serviceID, folder string) (files artifact.Files, err error) {
	if v.artifact != "" {
		return v.pull(ctx, service)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, &client.Error{Op: "open the folder", Err: err, Fix: "name the folder of the rendered manifests"}
	}
	defer func() {
		if closed := root.Close(); err == nil {
			err = closed
		}
	}()
	if files, err = artifact.Read(root.FS()); err != nil {
		return nil, refusedArtifact("check artifact", fmt.Errorf("read %s: %w", folder, err))
	}
	return files, nil
}

func (v *checkArtifactVerb) pull(ctx context.Context, service serviceID) (artifact.Files, error) {
	platform, err := v.conn.openReleases()
	if err != nil {
		return nil, err
	}
	store, err := v.conn.artifacts(ctx, platform)
	if err != nil {
		return nil, err
	}
	found, err := store.Resolve(ctx, service.team, service.name, v.artifact)
	if errors.Is(err, artifact.ErrNotFound) {
		return nil, missingArtifact(ctx, v.sh, platform, store, service, v.artifact)
	}
	if err == nil {
		var files artifact.Files
		if files, err = store.Pull(ctx, service.team, service.name, found); err == nil {
			return files, nil
		}
	}
	return nil, refusedArtifact("check artifact", err)
}

// check builds the files for every cluster, and prints what is wrong, once for all clusters that have it.
func (v *checkArtifactVerb) check(stdout, stderr io.Writer, service serviceID, files artifact.Files, members []fleetv1.WorkloadCluster) error {
	var order []string
	where := map[string][]string{}
	broken, objects := 0, 0
	rendered, all := preflight.Render(files, service.team, service.name, cmp.Or(v.artifact, notPushed))
	for i := range members {
		problems := all
		if len(all) == 0 {
			var built []*unstructured.Unstructured
			built, problems = rendered.Objects(layers.Values(&members[i], cloudOf(&members[i])))
			objects = max(objects, len(built))
		}
		if len(problems) > 0 {
			broken++
		}
		for _, p := range problems {
			text := p.String()
			if where[text] == nil {
				order = append(order, text)
			}
			where[text] = append(where[text], members[i].ID())
		}
	}
	for _, problem := range order {
		fmt.Fprintf(stdout, "%s: %s\n", strings.Join(where[problem], ", "), oneLine(problem))
	}
	if broken > 0 {
		return &client.Error{Op: "check artifact", Err: fmt.Errorf("%d of %s would not take it", broken, count(len(members), "cluster")),
			Fix: "mend the manifests, give a variable a default (${NAME:=default}), or have its value set in spec.values of the WorkloadCluster"}
	}
	done(stderr, "%s of %s would be built on %s", count(objects, "object"), service, count(len(members), "cluster"))
	hint(stderr, "not looked at: kinds, fields and admission of the clusters themselves; the operator's dry run is, before a release writes anything")
	return nil
}

// cloudOf is where a cluster is: as it is said, else as it was found.
func cloudOf(obj *fleetv1.WorkloadCluster) fleetv1.Cloud {
	if obj.Spec.Cloud.Provider == "" {
		return obj.Status.Cloud
	}
	return obj.Spec.Cloud
}
