package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/layers"
	"github.com/fairway-dev/fairway/fleet/client"
)

func newCheckLayers(sh *shell, conn *connection) *cobra.Command {
	v := &checkLayersVerb{sh: sh, conn: conn}
	cmd := &cobra.Command{
		Use:   "layers [ID...]",
		Short: "Check a checkout of the config repository against the fleet's layers and values",
		Long: `Check a checkout of the config repository against the fleet's layers and values, for its CI.

Each cluster's folder and layers are looked through as Flux would: a substitution variable that a cluster's values lack, and that has
no default, would break everything beside it. The Fleet and the WorkloadClusters are read from the platform; or, where CI has no way
there, from a file that kubectl wrote. Clusters in mode Observe follow no repository and are left out.

The operator writes clusters/<id>/fairway.yaml by itself when the Fleet has a writeSecretRef. Without one, --write writes them into
the checkout, to be committed.`,
		Example: sh.examples("check layers", "check layers prod-aws-eu1 --repository ../config",
			"check layers --from fleet.yaml   # kubectl get fleets,workloadclusters -A -o yaml > fleet.yaml"),
		RunE: v.run,
	}
	cmd.Flags().StringVar(&v.repository, "repository", ".", "Folder of the checkout")
	cmd.Flags().StringVar(&v.from, "from", "", "File with the Fleet and the WorkloadClusters, as kubectl get -o yaml prints them; - is stdin")
	cmd.Flags().BoolVar(&v.write, "write", false, "Write the clusters' fairway.yaml into the checkout, unless something is wrong with one")
	return cmd
}

type checkLayersVerb struct {
	sh               *shell
	conn             *connection
	repository, from string
	write            bool
}

func (v *checkLayersVerb) run(cmd *cobra.Command, args []string) (err error) {
	wanted, err := v.fleet(cmd)
	if err != nil {
		return err
	}
	if wanted.clusters, err = named(v.sh, "cluster", "get clusters", args, wanted.clusters,
		func(c fleetv1.WorkloadCluster, id string) bool { return c.ID() == id }, func(c fleetv1.WorkloadCluster) string { return c.ID() }); err != nil {
		return err
	}
	root, err := os.OpenRoot(v.repository)
	if err != nil {
		return &client.Error{Op: "open the repository", Err: err, Fix: "name the folder of a checkout with --repository"}
	}
	defer func() {
		if closed := root.Close(); err == nil {
			err = closed
		}
	}()
	found := checked{checkout: root.FS(), problems: map[string][]string{}, uses: map[string]scanned{}}
	for i := range wanted.clusters {
		if cluster := &wanted.clusters[i]; cluster.Spec.Mode != fleetv1.ModeObserve {
			found.cluster(cluster, wanted.fleet.Spec.Layers)
		}
	}
	if v.write {
		for _, decision := range found.stale {
			if err := writeFile(root, decision); err != nil {
				return fmt.Errorf("write %s: %w", layers.Path(decision.Plan.ClusterID), err)
			}
		}
	}
	return v.report(cmd.OutOrStdout(), cmd.ErrOrStderr(), found)
}

// writeFile writes a cluster's file into a checkout.
func writeFile(root *os.Root, decision layers.Decision) error {
	id := decision.Plan.ClusterID
	return errors.Join(root.MkdirAll(layers.ClusterFolder(id), 0o755), root.WriteFile(layers.Path(id), decision.Content, 0o644))
}

func (v *checkLayersVerb) report(stdout, stderr io.Writer, found checked) error {
	for _, problem := range found.order {
		fmt.Fprintf(stdout, "%s: %s\n", strings.Join(found.problems[problem], ", "), clean(problem))
	}
	for _, decision := range found.stale {
		if path := layers.Path(decision.Plan.ClusterID); v.write {
			done(stderr, "%s is written", path)
		} else {
			caution(stderr, "%s is not as spec.layers of the Fleet wants it: the operator writes it, or --write does", path)
		}
	}
	if n := len(found.order); n > 0 {
		return &client.Error{Op: "check layers", Err: fmt.Errorf("%d of %d clusters would break, or stay as they are", found.broken, found.checked),
			Fix: "give a value in spec.values of the WorkloadCluster, or a default: ${NAME:=default}; write $${ for what Flux must leave alone"}
	}
	done(stderr, "%d clusters: every layer has its folder, and no variable is missing", found.checked)
	return nil
}

// checked is what a check found.
type checked struct {
	checkout        fs.FS
	uses            map[string]scanned  // by folder: most clusters share them
	order           []string            // of problems, as they were found
	problems        map[string][]string // the clusters that have a problem
	stale           []layers.Decision   // files that are to be written
	checked, broken int
}

type scanned struct {
	uses []layers.Use
	err  error
}

func (c *checked) scan(folder string) ([]layers.Use, error) {
	found, ok := c.uses[folder]
	if !ok {
		found.uses, found.err = layers.Uses(c.checkout, folder)
		c.uses[folder] = found
	}
	return found.uses, found.err
}

// cluster checks one cluster.
func (c *checked) cluster(obj *fleetv1.WorkloadCluster, all []fleetv1.Layer) {
	cloud := cloudOf(obj)
	c.checked++
	cluster := layers.Cluster{ID: obj.ID(), Cloud: cloud.Provider, Labels: obj.Labels}
	decision, err := layers.Decide(cluster, all, layers.Values(obj, cloud), c.checkout, c.scan)
	problems := decision.Problems()
	if err != nil {
		problems = []string{err.Error()}
	}
	for _, problem := range problems {
		if c.problems[problem] == nil {
			c.order = append(c.order, problem)
		}
		c.problems[problem] = append(c.problems[problem], obj.ID())
	}
	if len(problems) > 0 {
		c.broken++
	} else if decision.Differs {
		c.stale = append(c.stale, decision)
	}
}

// wanted is what the platform wants of clusters.
type wanted struct {
	fleet    fleetv1.Fleet
	clusters []fleetv1.WorkloadCluster
}

// fleet is the Fleet and its clusters, sorted by id.
func (v *checkLayersVerb) fleet(cmd *cobra.Command) (out wanted, err error) {
	if v.from != "" {
		out, err = readWanted(v.from, cmd.InOrStdin())
	} else {
		ctx, cancel := v.conn.bound(cmd.Context())
		defer cancel()
		out, err = v.ask(ctx)
	}
	slices.SortFunc(out.clusters, func(a, b fleetv1.WorkloadCluster) int { return strings.Compare(a.ID(), b.ID()) })
	return out, err
}

func (v *checkLayersVerb) ask(ctx context.Context) (out wanted, err error) {
	platform, err := v.conn.platform()
	if err != nil {
		return out, err
	}
	var list fleetv1.WorkloadClusterList
	if err = platform.Get(ctx, kube.ObjectKey{Name: fleetv1.FleetName}, &out.fleet); err == nil {
		err = platform.List(ctx, &list, kube.InNamespace(v.conn.team()))
	}
	if err != nil {
		return out, &client.Error{Op: "read the Fleet and the WorkloadClusters", Err: err, Fix: "check your rights on the platform, or give a file of them with --from"}
	}
	out.clusters = list.Items
	return out, nil
}
