package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/layers"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/fairway-dev/fairway/operator/artifact"
)

// maxAhead is how far the clock of who made an artifact may be ahead: the newest one is released by itself.
const maxAhead = 5 * time.Minute

func newArtifactPush(sh *shell, conn *connection) *cobra.Command {
	v := &artifactPushVerb{sh: sh, conn: conn}
	cmd := &cobra.Command{
		Use:   "push FOLDER",
		Short: "Push a folder of rendered manifests, which can then be released to any cloud",
		Long: `Push a folder of rendered manifests, which can then be released to any cloud.

It is pushed as an OCI artifact that Flux's tools read, with the branch, the commit, its author and the CI run. They are read from Git and
from the environment of GitHub Actions, GitLab CI, Azure Pipelines or Jenkins, and flags come before both. Its id is
<branch>-<7 digits of the commit>-<4 digits of the content>. Pushing the same again changes nothing.

The folder may have up to 2,000 files of up to 4 MiB each, 32 MiB together and 10 MiB when compressed. What Flux would apply must be
Kubernetes objects, and kustomization files may refer to files of the folder only. What differs between clusters comes from substitution
variables; those that need a value on every cluster are named. docs/artifacts.md says more.

The service is that of --service, or of fairway.yaml or shuttle.yaml beside or above the manifests, or else the current folder. The
registry is spoken to with the credentials that docker login keeps.`,
		Example: sh.examples("artifact push ./manifests --service payments/ledger", "artifact push ./manifests -o name   # prints the id alone",
			"artifact push ./manifests --registry oci://registry.example.com/artifacts --branch main"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return sh.usage("artifact push", "it takes one argument, the folder of the manifests")
			}
			return nil
		},
		RunE: v.run,
	}
	f := cmd.Flags()
	f.StringVarP(&v.service, "service", "s", "", "Service, <team>/<name>")
	f.StringVar(&v.given.Branch, "branch", "", "Branch that it is of")
	f.StringVar(&v.given.Commit, "commit", "", "Commit that it is of, with all of its digits where Git cannot complete it")
	f.StringVar(&v.given.Author, "author", "", "Author of the commit")
	f.StringVar(&v.given.Repository, "source", "", "Address of the source code's repository")
	f.StringVar(&v.given.CI, "ci", "", "Address of the CI run")
	f.StringVar(&v.created, "created", "", "When it was made, such as 2026-11-22T08:17:00Z; without it, now")
	addRegistryFlag(cmd, &v.registry)
	v.out.addFlags(cmd, listFormats...)
	return cmd
}

type artifactPushVerb struct {
	sh                         *shell
	conn                       *connection
	service, registry, created string
	given                      fleetv1.ArtifactSource
	out                        output
}

func (v *artifactPushVerb) run(cmd *cobra.Command, args []string) (err error) {
	team, service, err := v.whose(args[0])
	if err != nil {
		return err
	}
	if err := v.made(); err != nil {
		return err
	}
	root, err := os.OpenRoot(args[0])
	if err != nil {
		return &client.Error{Op: "open the manifests", Err: err, Fix: "name their folder"}
	}
	defer func() {
		if closed := root.Close(); err == nil {
			err = closed
		}
	}()
	return v.push(cmd, args[0], root.FS(), team, service)
}

func (v *artifactPushVerb) push(cmd *cobra.Command, folder string, files fs.FS, team, service string) error {
	if _, err := artifact.Read(files); err != nil { // before anything else reads what may be large
		return refusedArtifact("artifact push", fmt.Errorf("read %s: %w", folder, err))
	}
	uses, err := variables(files)
	if err != nil {
		return err
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	origin, err := originOf(ctx, folder, v.conn.env, v.given)
	if err != nil {
		return err
	}
	store, err := v.conn.artifactsIn(ctx, v.registry, func() (kube.Client, error) { return v.conn.platform() })
	if err != nil {
		return err
	}
	pushed, err := store.Push(ctx, team, service, files, origin)
	if err != nil {
		return refusedArtifact("artifact push", err)
	}
	return v.report(cmd.OutOrStdout(), cmd.ErrOrStderr(), newArtifactItem(team, service, pushed.Artifact), pushed, uses)
}

// whose is the service: as it was given, or as a file beside or above the manifests says, or the current folder.
func (v *artifactPushVerb) whose(folder string) (team, service string, err error) {
	if team, service, err = findService(folder, v.service); errors.Is(err, errNoServiceFile) {
		team, service, err = findService(".", v.service)
	}
	return team, service, err
}

// made reads when the artifact was made.
func (v *artifactPushVerb) made() error {
	at := v.sh.now()
	if v.created != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, v.created); err != nil {
			return v.sh.usage("artifact push", "--created: %q is not a time such as 2026-11-22T08:17:00Z", v.created)
		}
	}
	if at.After(v.sh.now().Add(maxAhead)) {
		return v.sh.usage("artifact push", "--created: %s has not come yet", v.created)
	}
	v.given.Created = &metav1.Time{Time: at}
	return nil
}

// variables are the substitution variables in manifests that some cluster may lack: they have no default, and are none of those
// that every cluster has. Expressions that Flux cannot read are an error.
func variables(manifests fs.FS) ([]layers.Use, error) {
	uses, err := layers.Uses(manifests, ".")
	if err != nil {
		return nil, err
	}
	everywhere := layers.Values(&fleetv1.WorkloadCluster{}, fleetv1.Cloud{})
	uses = layers.Missing(uses, everywhere)
	var problems []error
	for _, use := range uses {
		if use.Variable == "" {
			problems = append(problems, errors.New(use.String()))
		}
	}
	if len(problems) > 0 {
		return nil, &client.Error{Op: "look for variables", Err: errors.Join(problems...), Fix: "write $${ for what Flux must leave alone"}
	}
	return uses, nil
}

func (v *artifactPushVerb) report(stdout, stderr io.Writer, item artifactItem, pushed artifact.Pushed, uses []layers.Use) error {
	body := struct {
		artifactItem
		New       bool     `json:"new"`                 // false: it was there already
		Variables []string `json:"variables,omitempty"` // that need a value on every cluster
	}{artifactItem: item, New: pushed.New}
	for _, use := range uses {
		body.Variables = append(body.Variables, use.Variable)
		caution(stderr, "%s has no default: every cluster that is to run it needs a value", clean(use.String()))
	}
	slices.Sort(body.Variables)
	body.Variables = slices.Compact(body.Variables)
	if len(uses) > 0 {
		hint(stderr, "give a default, ${NAME:=default}, or have the value set in spec.values of the WorkloadClusters; write $${ for what Flux must leave alone")
	}
	if pushed.New {
		done(stderr, "%s %s is pushed: %s, %d KiB", item.Service, item.ID, count(pushed.Files, "file"), (pushed.Size+1023)/1024)
	} else {
		done(stderr, "%s %s was there already, with the same files; nothing was pushed", item.Service, item.ID)
	}
	if err := v.out.print(stdout, v.sh, artifactDocument(v.sh, body, []artifactItem{item})); err != nil {
		return fmt.Errorf("print the artifact: %w", err)
	}
	return nil
}
