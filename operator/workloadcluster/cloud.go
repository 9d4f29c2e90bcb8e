package workloadcluster

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/capi"
)

// saidCloud is where the objects of a cluster's provider say that it runs. It is read once the cluster has answered: of one that does
// not, this would be most of what its passes take.
func (r *Reconciler) saidCloud(ctx context.Context, p *pass) (fleetv1.Cloud, error) {
	if !p.access.viaClusterAPI {
		return fleetv1.Cloud{}, nil
	}
	return capi.Locate(ctx, r.Client, p.obj.Namespace, p.access.name)
}

// locate says where the cluster runs: as given, as its provider's objects said, as its nodes say.
func (r *Reconciler) locate(ctx context.Context, p *pass, said fleetv1.Cloud) (fleetv1.Cloud, error) {
	cloud := merge(p.obj.Spec.Cloud, said)
	if cloud.Provider != "" && cloud.Region != "" {
		return cloud, nil
	}
	var nodes corev1.NodeList
	err := p.cluster.Client.List(ctx, &nodes, client.Limit(1))
	if err != nil && !apierrors.IsForbidden(err) { // a cloud that cannot be told is no reason to fail
		return cloud, fmt.Errorf("list nodes: %w", err)
	}
	if len(nodes.Items) > 0 {
		cloud = merge(cloud, cloudOf(&nodes.Items[0]))
	}
	return cloud, nil
}

// merge takes from other what known lacks, unless they are of different providers.
func merge(known, other fleetv1.Cloud) fleetv1.Cloud {
	if known.Provider != "" && other.Provider != "" && known.Provider != other.Provider {
		return known
	}
	return fleetv1.Cloud{
		Provider: cmp.Or(known.Provider, other.Provider),
		Region:   cmp.Or(known.Region, other.Region),
		Account:  cmp.Or(known.Account, other.Account),
	}
}

// providers are the schemes of nodes' provider ids.
var providers = map[string]string{"aws": "AWS", "azure": "Azure", "gce": "GCP"}

// cloudOf is what a node's provider id ("aws:///eu-west-1a/i-0abc") and region label say.
func cloudOf(node *corev1.Node) fleetv1.Cloud {
	scheme, path, ok := strings.Cut(node.Spec.ProviderID, "://")
	if !ok {
		return fleetv1.Cloud{Region: node.Labels[corev1.LabelTopologyRegion]}
	}
	cloud := fleetv1.Cloud{Provider: cmp.Or(providers[scheme], scheme), Region: node.Labels[corev1.LabelTopologyRegion]}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case scheme == "azure" && len(parts) > 1 && strings.EqualFold(parts[0], "subscriptions"):
		cloud.Account = parts[1]
	case scheme == "gce" && len(parts) > 1:
		cloud.Account = parts[0] // the project
	}
	return cloud
}
