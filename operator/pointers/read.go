package pointers

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/layers"
)

// State is whose a file at PointerPath is.
type State int

// States of a file.
const (
	Absent  State = iota
	Ours          // as Fairway wrote it, now or earlier
	Edited        // Fairway's, and changed since, or copied from elsewhere
	Foreign       // somebody else's
)

// String is a state for people.
func (s State) String() string {
	return [...]string{"absent", "as Fairway wrote it", "edited by hand", "not Fairway's"}[s]
}

// Read is the pointer of a service on a cluster. Of one that is Edited, Artifact is what its path leads to, and what cannot
// be made out is empty; of one that is Foreign, only the names are there. A file that cannot be read is an error.
func Read(repository fs.FS, cluster, team, service string) (Pointer, State, error) {
	p := Pointer{Cluster: cluster, Team: team, Service: service}
	content, err := fs.ReadFile(repository, PointerPath(cluster, team, service))
	if errors.Is(err, fs.ErrNotExist) {
		return p, Absent, nil
	}
	if err != nil {
		return p, Foreign, fmt.Errorf("read pointer: %w", err)
	}
	state := p.parse(content)
	return p, state, nil
}

// parse fills in what a file says.
func (p *Pointer) parse(content []byte) State {
	text := string(content)
	if !strings.HasPrefix(text, header) {
		return Foreign
	}
	read, state := fromYAML, Edited
	if p.unbroken(text) {
		read, state = fromLines, Ours
	}
	found := read(text)
	in, id := path.Split(path.Clean(found.Spec.Path))
	if artifact.MatchString(id) && in == artifactsFolder(p.Team, p.Service)+"/" {
		p.Artifact = id
	}
	if name := found.Metadata.Annotations[fleetv1.AnnotationRelease]; release.MatchString(name) {
		p.Release = name
	}
	if sum := found.Metadata.Annotations[fleetv1.AnnotationDigest]; digest.MatchString(sum) {
		p.Digest = sum
	}
	if p.Artifact == "" {
		return Edited
	}
	return state
}

// Included says whether a cluster takes in a service's pointer: a kustomization file that somebody keeps in the cluster's folder, or in
// the team's, must list it.
func Included(repository fs.FS, cluster, team, service string) (bool, error) {
	return layers.Included(repository, cluster, pointerFile(team, service))
}

// fields are those of a pointer's file that say something.
type fields struct {
	Metadata struct {
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Path string `json:"path"`
	} `json:"spec"`
}

// fromYAML are the fields of a file that anybody may have written; none of one that is no YAML.
func fromYAML(text string) fields {
	var out fields
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		return fields{}
	}
	return out
}

// fromLines are the fields of a file that is as Fairway wrote it: each is on a line of its own. A release reads a dozen
// of them, for which YAML takes ten times as long.
func fromLines(text string) fields {
	var out fields
	out.Metadata.Annotations = map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "path":
			out.Spec.Path, _, _ = strings.Cut(value, " # ")
		case fleetv1.AnnotationRelease, fleetv1.AnnotationDigest:
			out.Metadata.Annotations[key] = value
		}
	}
	return out
}

// Listed is a pointer that was found.
type Listed struct {
	Pointer
	State State
}

// Filter chooses pointers; what is empty chooses all.
type Filter struct{ Cluster, Team, Service string }

// ListPointers lists what is at the places of pointers, by cluster, team and service: also what is not Fairway's. A
// repository that cannot be read is an error.
func ListPointers(repository fs.FS, of Filter) ([]Listed, error) {
	var out []Listed
	clusters, err := below(repository, clustersFolder, of.Cluster, isFolder)
	if err != nil {
		return nil, err
	}
	for _, cluster := range clusters {
		teams, err := below(repository, path.Join(clustersFolder, cluster), of.Team, isFolder)
		if err != nil {
			return nil, err
		}
		for _, team := range teams {
			services, err := below(repository, path.Join(clustersFolder, cluster, team), of.Service, isService)
			if err != nil {
				return nil, err
			}
			for _, service := range services {
				p, state, err := Read(repository, cluster, team, service)
				if err != nil {
					return nil, err
				}
				if state != Absent {
					out = append(out, Listed{p, state})
				}
			}
		}
	}
	return out, nil
}

// below are the names, as of says, of what is in a folder; only the one that is asked for, if any, whether it is there or not.
func below(repository fs.FS, folder, only string, of func(fs.DirEntry) string) ([]string, error) {
	if only != "" {
		return []string{only}, nil
	}
	entries, err := fs.ReadDir(repository, folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list folder: %w", err)
	}
	var out []string
	for _, entry := range entries {
		if name := of(entry); name != "" {
			out = append(out, name)
		}
	}
	return out, nil
}

func anyFolder(entry fs.DirEntry) string {
	if entry.IsDir() {
		return entry.Name()
	}
	return ""
}

func isFolder(entry fs.DirEntry) string { return matching(label, anyFolder(entry)) }

func isArtifact(entry fs.DirEntry) string { return matching(artifact, anyFolder(entry)) }

func isService(entry fs.DirEntry) string {
	name, found := strings.CutSuffix(entry.Name(), extension)
	if !found || !entry.Type().IsRegular() || name == kustomization {
		return ""
	}
	return matching(label, name)
}

func matching(is *regexp.Regexp, name string) string {
	if is.MatchString(name) {
		return name
	}
	return ""
}
