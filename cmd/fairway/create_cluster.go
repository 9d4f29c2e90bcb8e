package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/fairway-dev/fairway/clusters/blueprint"
	"github.com/fairway-dev/fairway/fleet/client"
)

// clustersNamespace is where Cluster API's objects go when --namespace does not say.
const clustersNamespace = "clusters"

func newCreateCluster(sh *shell, conn *connection, connect func() (orderTaker, error)) *cobra.Command {
	v := &createClusterVerb{sh: sh, conn: conn, connect: connect}
	cmd := &cobra.Command{
		Use:   "cluster NAME --cloud CLOUD --region REGION --environment ENVIRONMENT --kubernetes VERSION",
		Short: "Order an EKS or AKS cluster through Cluster API; it joins the fleet by itself",
		Long: `Order an EKS or AKS cluster through Cluster API; it joins the fleet by itself, by the labels on its Cluster.

The platform cluster needs Cluster API with the cloud's provider. With --export the objects are printed, to be committed to the
repository that the platform cluster follows. Without it they are applied with your kubeconfig: each is tried before the first is
kept, and what another owner has set is never changed. Either way they are yours: how the cluster is changed, upgraded and deleted
from then on is Cluster API's own. They are in the namespace ` + clustersNamespace + `, unless --namespace names another.`,
		Example: sh.examples("create cluster prod-aws-eu2 --cloud aws --region eu-west-1 --environment prod --kubernetes 1.36",
			"create cluster dev-azure-1 --cloud azure --region westeurope --environment dev --kubernetes 1.36 --nodes 1 --export > dev-azure-1.yaml"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return sh.usage("create cluster", "give the cluster one name, not %d", len(args))
			}
			return nil
		},
		RunE: v.run,
	}
	f := cmd.Flags()
	f.StringVar(&v.want.Cloud, "cloud", "", "Where: "+strings.Join(blueprint.Clouds(), " or "))
	f.StringVar(&v.want.Region, "region", "", "Region of the cloud, in its own words: eu-west-1, westeurope")
	f.StringVarP(&v.want.Environment, "environment", "e", "", "Environment that the cluster joins")
	f.StringVar(&v.want.Kubernetes, "kubernetes", "", "Version of Kubernetes, such as 1.36")
	f.IntVar(&v.want.Nodes, "nodes", 3, "How many nodes")
	f.StringVar(&v.want.MachineType, "machine-type", "", "What nodes are; without it m7i.large or Standard_D2s_v5")
	f.StringVar(&v.want.Identity, "identity", "", "Whose account: an AWSClusterRoleIdentity (aws), a Secret with credentials of the Azure Service Operator (azure); without it the provider's own")
	f.StringToStringVar(&v.want.Labels, "label", nil, "More labels of the Cluster, key=value, for a Fleet that registers by others")
	f.BoolVar(&v.export, "export", false, "Print the objects as YAML instead of applying them")
	complete(cmd, "cloud", blueprint.Clouds)
	return cmd
}

type createClusterVerb struct {
	sh      *shell
	conn    *connection
	connect func() (orderTaker, error)
	want    blueprint.Cluster
	export  bool
}

func (v *createClusterVerb) run(cmd *cobra.Command, args []string) error {
	v.want.Name = args[0]
	v.want.Namespace = cmp.Or(v.conn.team(), clustersNamespace)
	objs, err := v.want.Objects()
	if mistake := (*blueprint.Mistake)(nil); errors.As(err, &mistake) {
		return &client.Error{Op: "create cluster", Err: mistake, Fix: mistake.Fix}
	}
	if err != nil {
		return fmt.Errorf("render cluster %s: %w", v.want.Name, err)
	}
	if v.export {
		if err := writeManifests(cmd.OutOrStdout(), objs); err != nil {
			return fmt.Errorf("print objects: %w", err)
		}
		hint(cmd.ErrOrStderr(), "commit it where the platform cluster looks; %s", v.folder())
		return nil
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	platform, err := v.connect()
	if err != nil {
		return err
	}
	o := order{want: v.want, objects: objs, platform: platform}
	if err := o.place(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr()); err != nil {
		return err
	}
	done(cmd.ErrOrStderr(), "%s is ordered; clouds take about a quarter of an hour", v.want.Name)
	hint(cmd.ErrOrStderr(), "what it waits for: kubectl -n %s describe cluster %s; then: %s describe cluster %s", v.want.Namespace, v.want.Name, v.sh.name, v.want.Name)
	hint(cmd.ErrOrStderr(), "%s", v.folder())
	return nil
}

// folder is what else a cluster needs.
func (v *createClusterVerb) folder() string {
	return "the cluster runs what the config repository has in clusters/" + v.want.Name
}

// writeManifests writes objects as YAML documents.
func writeManifests(w io.Writer, objs []*unstructured.Unstructured) error {
	for _, obj := range objs {
		text, err := yaml.Marshal(obj.Object)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "---\n%s", text); err != nil {
			return err
		}
	}
	return nil
}
