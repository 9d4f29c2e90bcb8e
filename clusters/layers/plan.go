package layers

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Errors of New. The text of what wraps them names the layer.
var (
	// ErrFolder: the repository has no folder for a layer.
	ErrFolder = errors.New("no folder for the layer")
	// ErrInvalid: layers contradict each other, or a selector cannot be read. The API server refuses such
	// layers, so they are from before it did.
	ErrInvalid = errors.New("not valid")
)

// Base is the folder of a layer for clouds that have none of their own.
const Base = "base"

// Cluster is what decides about a cluster's layers.
type Cluster struct {
	ID     string
	Cloud  string            // "AWS", "Azure"; empty when it is not known
	Labels map[string]string // of its WorkloadCluster
}

// Plan is the layers that a cluster gets, in their order.
type Plan struct {
	ClusterID string
	Layers    []Planned
}

// Planned is one layer of a plan.
type Planned struct {
	Name      string
	Folder    string   // "platform/ingress/aws"
	DependsOn []string // layers of the same plan, sorted
	Interval  time.Duration
	Timeout   time.Duration
}

// Names are the layers' names, in their order.
func (p Plan) Names() []string {
	out := make([]string, len(p.Layers))
	for i, layer := range p.Layers {
		out[i] = layer.Name
	}
	return out
}

// Folders are the folders that the cluster applies: its own, if the repository has it, and its layers'.
func (p Plan) Folders(repository fs.FS) []string {
	var out []string
	if isFolder(repository, ClusterFolder(p.ClusterID)) {
		out = append(out, ClusterFolder(p.ClusterID))
	}
	for _, layer := range p.Layers {
		out = append(out, layer.Folder)
	}
	return out
}

// ClusterFolder is what a cluster's root Kustomization applies.
func ClusterFolder(id string) string { return "clusters/" + id }

// New decides which of the layers a cluster gets, and from which folders.
func New(cluster Cluster, all []fleetv1.Layer, repository fs.FS) (Plan, error) {
	plan := Plan{ClusterID: cluster.ID}
	// needs are, of each layer so far, the layers of the plan that it stands for when another depends on it.
	needs := map[string][]string{}
	ordered, err := order(all)
	if err != nil {
		return Plan{}, err
	}
	for _, layer := range ordered {
		selected, err := selects(layer.ClusterSelector, cluster.Labels)
		if err != nil {
			return Plan{}, fmt.Errorf("layer %s: clusterSelector: %w: %w", layer.Name, ErrInvalid, err)
		}
		depends := resolve(layer, needs)
		needs[layer.Name] = depends
		if !selected {
			continue
		}
		needs[layer.Name] = []string{layer.Name}
		folder, err := folderOf(layer.Name, cluster.Cloud, repository)
		if err != nil {
			return Plan{}, err
		}
		plan.Layers = append(plan.Layers, Planned{
			Name: layer.Name, Folder: folder, DependsOn: depends,
			Interval: layer.Interval.Duration, Timeout: layer.Timeout.Duration,
		})
	}
	return plan, nil
}

func selects(selector *metav1.LabelSelector, of map[string]string) (bool, error) {
	if selector == nil {
		return true, nil
	}
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return false, err
	}
	return parsed.Matches(labels.Set(of)), nil
}

// order is the layers with each after those that it depends on, and otherwise as they stand.
func order(all []fleetv1.Layer) ([]fleetv1.Layer, error) {
	var out []fleetv1.Layer
	done := map[string]bool{}
	for rest := slices.Clone(all); len(rest) > 0; {
		i := slices.IndexFunc(rest, func(l fleetv1.Layer) bool {
			return !slices.ContainsFunc(l.DependsOn, func(name string) bool { return !done[name] })
		})
		if i < 0 {
			return nil, fmt.Errorf("layer %s: %w: it depends on %s: not all of them are in the list, or they wait for each other",
				rest[0].Name, ErrInvalid, strings.Join(rest[0].DependsOn, ", "))
		}
		if done[rest[i].Name] {
			return nil, fmt.Errorf("layer %s: %w: it is in the list twice", rest[i].Name, ErrInvalid)
		}
		done[rest[i].Name] = true
		out = append(out, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return out, nil
}

// resolve is what a layer waits for on a cluster. A layer that the cluster does not get stands for those
// that it depends on itself.
func resolve(layer fleetv1.Layer, needs map[string][]string) []string {
	var out []string
	for _, name := range layer.DependsOn {
		out = append(out, needs[name]...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// cloudName is a cloud whose name can be a folder's.
var cloudName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// folderOf is a layer's folder for a cloud, or the one for all clouds.
func folderOf(layer, cloud string, repository fs.FS) (string, error) {
	dir := "platform/" + layer + "/"
	variants := []string{Base}
	if own := strings.ToLower(cloud); cloudName.MatchString(own) && own != Base {
		variants = []string{own, Base}
	}
	for _, variant := range variants {
		if isFolder(repository, dir+variant) {
			return dir + variant, nil
		}
	}
	return "", fmt.Errorf("%w %s: the repository has neither of %s%s", ErrFolder, layer, dir, strings.Join(variants, ", "+dir))
}

func isFolder(repository fs.FS, path string) bool {
	info, err := fs.Stat(repository, path)
	return err == nil && info.IsDir()
}
