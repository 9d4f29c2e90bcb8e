package layers

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/yaml"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// FileName is the file in a cluster's folder that Fairway writes.
const FileName = "fairway.yaml"

// Path is the file that says which layers a cluster gets.
func Path(id string) string { return ClusterFolder(id) + "/" + FileName }

// NamePrefix is before a layer's name in that of its Kustomization.
const NamePrefix = "layer-"

const header = `# Written by Fairway, from spec.layers of the Fleet. What is edited here by hand is reported and left
# alone. To have Fairway write it anew, delete the file.
# sha256: `

const retryInterval = 30 * time.Second

// File renders a plan. The same plan gives the same bytes.
func (p Plan) File() ([]byte, error) {
	var body bytes.Buffer
	for _, layer := range p.Layers {
		text, err := yaml.Marshal(kustomization(p.ClusterID, layer))
		if err != nil {
			return nil, fmt.Errorf("render layer %s: %w", layer.Name, err)
		}
		body.WriteString("---\n")
		body.Write(text)
	}
	return append([]byte(header+sum(body.Bytes())+"\n"), body.Bytes()...), nil
}

func sum(body []byte) string { return fmt.Sprintf("%x", sha256.Sum256(body)) }

// kustomization is the Flux object of a layer. Its retries and its deletion are the root's.
func kustomization(id string, layer Planned) map[string]any {
	spec := map[string]any{
		"interval":      layer.Interval.String(),
		"retryInterval": retryInterval.String(),
		"timeout":       layer.Timeout.String(),
		"path":          "./" + layer.Folder,
		"prune":         true,
		"wait":          true,
		"force":         false,
		"sourceRef":     map[string]any{"kind": sourcev1.GitRepositoryKind, "name": fleetv1.RootName},
		"postBuild": map[string]any{"substituteFrom": []any{
			map[string]any{"kind": "ConfigMap", "name": fleetv1.ValuesName},
		}},
	}
	var depends []any
	for _, name := range layer.DependsOn {
		depends = append(depends, map[string]any{"name": NamePrefix + name})
	}
	if len(depends) > 0 {
		spec["dependsOn"] = depends
	}
	return map[string]any{
		"apiVersion": kustomizev1.GroupVersion.String(),
		"kind":       kustomizev1.KustomizationKind,
		"metadata": map[string]any{
			"name": NamePrefix + layer.Name, "namespace": fleetv1.FluxNamespace,
			"labels": map[string]any{"app.kubernetes.io/part-of": "fairway", fleetv1.LabelCluster: id},
		},
		"spec": spec,
	}
}

// State is whose a file at Path is.
type State int

// States of the file.
const (
	Absent  State = iota
	Ours          // as Fairway wrote it, now or earlier
	Edited        // Fairway's, and changed since
	Foreign       // somebody else's
)

var sumLine = regexp.MustCompile(`^# sha256: ([0-9a-f]{64})$`)

// StateOf says whose the content of a file is.
func StateOf(content []byte) State {
	lines := strings.SplitAfterN(string(content), "\n", 4)
	if len(lines) < 4 || !strings.HasPrefix(lines[0], "# Written by Fairway") {
		return Foreign
	}
	found := sumLine.FindStringSubmatch(strings.TrimSuffix(lines[2], "\n"))
	if found == nil || found[1] != sum([]byte(lines[3])) {
		return Edited
	}
	return Ours
}

// Read is a cluster's file as the repository has it.
func Read(repository fs.FS, id string) ([]byte, State, error) {
	content, err := fs.ReadFile(repository, Path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Absent, nil
	}
	if err != nil {
		return nil, Foreign, fmt.Errorf("read %s: %w", Path(id), err)
	}
	return content, StateOf(content), nil
}
