package pointers

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Garbage are the edits that delete a service's artifacts that no cluster's pointer uses and that are not in keep: Git
// does not say when an artifact was used last, and Releases do, so the caller keeps those of the newest. A pointer that was
// edited, and a file in its place that is not Fairway's, uses each artifact whose folder it names. A folder with something
// else than files in it is left alone. When one of the files cannot be read, nothing is garbage.
func Garbage(repository fs.FS, team, service string, keep []string) ([]Edit, error) {
	if err := CheckService(team, service); err != nil {
		return nil, err
	}
	ids, err := below(repository, artifactsFolder(team, service), "", isArtifact)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(keep, id) })
	if len(ids) == 0 {
		return nil, nil
	}
	if ids, err = unused(repository, team, service, ids); err != nil {
		return nil, err
	}
	var out []Edit
	for _, id := range ids {
		paths, only, err := tree(repository, ArtifactFolder(team, service, id))
		if err != nil {
			return nil, err
		}
		if !only {
			continue
		}
		for _, path := range paths {
			out = append(out, Edit{Path: path, Delete: true})
		}
	}
	return out, nil
}

// unused are the artifacts that no cluster's file for the service names.
func unused(repository fs.FS, team, service string, ids []string) ([]string, error) {
	clusters, err := below(repository, clustersFolder, "", anyFolder)
	if err != nil {
		return nil, err
	}
	for _, cluster := range clusters {
		content, err := fs.ReadFile(repository, PointerPath(cluster, team, service))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read pointer: %w", err)
		}
		ids = slices.DeleteFunc(ids, func(id string) bool {
			return bytes.Contains(content, []byte(ArtifactFolder(team, service, id)))
		})
	}
	return ids, nil
}
