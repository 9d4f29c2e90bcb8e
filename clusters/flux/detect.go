package flux

import (
	"context"
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Installed is the Flux that a cluster runs.
type Installed struct {
	Found   bool
	Version string // "v2.9.5"; empty when its objects do not say
	Managed bool   // installed by Fairway
}

// Detect looks for Flux's controllers in every namespace, however they were installed: definitions
// that an earlier Flux left behind do not count. Where several are found, one that Fairway did not
// install makes all of it not Fairway's.
func Detect(ctx context.Context, c client.Reader) (Installed, error) {
	for _, selector := range []client.ListOption{
		client.MatchingLabels{labelPartOf: "flux"},
		// Charts and old versions label by name only.
		client.MatchingLabels{"app": "source-controller"},
		client.MatchingLabels{"app": "kustomize-controller"},
	} {
		deployments := &metav1.PartialObjectMetadataList{}
		deployments.SetGroupVersionKind(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "DeploymentList"})
		if err := c.List(ctx, deployments, selector); err != nil {
			return Installed{}, fmt.Errorf("list Flux's Deployments: %w", err)
		}
		if found := installedFrom(deployments.Items); found.Found {
			return found, nil
		}
	}
	return Installed{}, nil
}

func installedFrom(deployments []metav1.PartialObjectMetadata) Installed {
	out := Installed{Managed: true}
	for _, d := range deployments {
		if d.GetDeletionTimestamp() != nil {
			continue
		}
		out.Found = true
		if d.GetLabels()[LabelManagedBy] != owner {
			out.Managed = false
		}
		if version := normalVersion(d.GetLabels()[labelVersion]); out.Version == "" {
			out.Version = version
		}
	}
	out.Managed = out.Managed && out.Found
	return out
}

// normalVersion is a version with its "v", or nothing when the text is none.
func normalVersion(text string) string {
	version, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v"))
	if err != nil {
		return ""
	}
	return "v" + version.String()
}
