package pointers

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/fairway-dev/fairway/operator/gitrepo"
)

// Edit is what the writer of the config repository takes.
type Edit = gitrepo.Edit

// Move tells clusters to run an artifact.
type Move struct {
	Team, Service, Artifact string
	Release                 string // that asks for it, "<namespace>/<name>"
	Digest                  string // of the artifact, "sha256:…"; may be empty
	Clusters                []string
	// Files of the artifact, by their paths in it. Nil: the repository has them already.
	Files map[string][]byte
	// Mend writes anew what was edited by hand: pointers, and the artifact's folder.
	Mend bool
}

// Edits are what a move takes: the artifact's folder, unless it is there, and a pointer for each cluster that does not have
// it as it is to be. They are sorted by path; there are none when nothing is missing. Nothing is moved when there is an
// error: of names and of files that cannot be (ErrName, ErrPath), of a folder that is there with other content
// (ErrChanged) or is not there (ErrNoFiles), and of every pointer that was edited by hand (ErrEdited). Mend lifts ErrChanged
// and ErrEdited, but for a file that is not Fairway's.
func Edits(repository fs.FS, move Move) ([]Edit, error) {
	if err := move.check(); err != nil {
		return nil, err
	}
	out, err := move.copy(repository)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, cluster := range move.clusters() {
		edit, err := move.point(repository, cluster)
		errs = append(errs, err)
		out = append(out, edit...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return sorted(out), nil
}

// Remove are the edits that take a service off clusters: Flux deletes what it applied. The artifacts stay. Errors are those
// of Edits.
func Remove(repository fs.FS, team, service string, clusters []string, mend bool) ([]Edit, error) {
	var out []Edit
	errs := []error{CheckService(team, service)}
	for _, cluster := range unique(clusters) {
		errs = append(errs, check("cluster", label, cluster))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, cluster := range unique(clusters) {
		_, state, err := Read(repository, cluster, team, service)
		if err = errors.Join(err, writable(PointerPath(cluster, team, service), state, mend)); err != nil {
			errs = append(errs, err)
			continue
		}
		if state != Absent {
			out = append(out, Edit{Path: PointerPath(cluster, team, service), Delete: true})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

func (m Move) clusters() []string { return unique(m.Clusters) }

func unique(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }

func (m Move) pointer(cluster string) Pointer {
	return Pointer{Cluster: cluster, Team: m.Team, Service: m.Service, Artifact: m.Artifact, Release: m.Release, Digest: m.Digest}
}

func (m Move) folder() string { return ArtifactFolder(m.Team, m.Service, m.Artifact) }

func (m Move) check() error {
	errs := []error{m.pointer("").check(m.clusters()...)}
	if m.Files != nil && len(m.Files) == 0 {
		errs = append(errs, fmt.Errorf("%w: artifact %s has none", ErrPath, m.Artifact))
	}
	for _, path := range slices.Sorted(maps.Keys(m.Files)) {
		if !fs.ValidPath(path) || path == "." {
			errs = append(errs, fmt.Errorf("%w: artifact %s has a file %.200q", ErrPath, m.Artifact, path))
		}
	}
	return errors.Join(errs...)
}

// point is the edit of one cluster's pointer, if it takes one.
func (m Move) point(repository fs.FS, cluster string) ([]Edit, error) {
	path, content := PointerPath(cluster, m.Team, m.Service), Render(m.pointer(cluster))
	have, state, err := Read(repository, cluster, m.Team, m.Service)
	if err = errors.Join(err, writable(path, state, m.Mend)); err != nil {
		return nil, err
	}
	if state == Ours && have == m.pointer(cluster) {
		return nil, nil // as an earlier version may have rendered it
	}
	return []Edit{{Path: path, Content: content}}, nil
}

// writable says whether a file may be written or deleted.
func writable(path string, state State, mend bool) error {
	switch {
	case state == Foreign:
		return fmt.Errorf("%w: %s was not written by Fairway; move what is in it to another file, and delete it", ErrEdited, path)
	case state == Edited && !mend:
		return fmt.Errorf("%w: %s was edited by hand; put it back as it was, delete it, or have it mended", ErrEdited, path)
	}
	return nil
}

// copy are the edits that the artifact's folder takes: none when it is there.
func (m Move) copy(repository fs.FS) ([]Edit, error) {
	have, _, err := tree(repository, m.folder())
	switch {
	case err != nil:
		return nil, err
	case len(have) == 0 && m.Files == nil:
		return nil, fmt.Errorf("%w: %s is not in the repository", ErrNoFiles, m.folder())
	case m.Files == nil:
		return nil, nil
	}
	out, err := m.differences(repository, have)
	if err != nil {
		return nil, err
	}
	if len(have) > 0 && len(out) > 0 && !m.Mend {
		return nil, fmt.Errorf("%w: %s, such as %s; an artifact never changes: put it back as it was, or have it mended",
			ErrChanged, m.folder(), strings.TrimPrefix(out[0].Path, m.folder()+"/"))
	}
	return out, nil
}

// differences are the edits that make the folder what the artifact has, by path.
func (m Move) differences(repository fs.FS, have []string) ([]Edit, error) {
	var out []Edit
	for _, path := range have {
		if _, wanted := m.Files[strings.TrimPrefix(path, m.folder()+"/")]; !wanted {
			out = append(out, Edit{Path: path, Delete: true})
		}
	}
	for name, content := range m.Files {
		path := m.folder() + "/" + name
		if slices.Contains(have, path) {
			there, err := fs.ReadFile(repository, path)
			if err != nil {
				return nil, fmt.Errorf("read artifact: %w", err)
			}
			if bytes.Equal(there, content) {
				continue
			}
		}
		out = append(out, Edit{Path: path, Content: content})
	}
	return sorted(out), nil
}

// tree are the paths of all that is in a folder, by path, and whether it is only files. There are none when there is no such
// folder.
func tree(repository fs.FS, folder string) (paths []string, only bool, err error) {
	only = true
	err = fs.WalkDir(repository, folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			paths, only = append(paths, path), only && entry.Type().IsRegular()
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, fmt.Errorf("list folder: %w", err)
	}
	return paths, only, nil
}

func sorted(edits []Edit) []Edit {
	slices.SortFunc(edits, func(a, b Edit) int { return strings.Compare(a.Path, b.Path) })
	return edits
}
