package preflight

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
)

// source is the files of an artifact, as Flux gets them.
type source struct {
	files   map[string][]byte // by path
	folders map[string]bool   // that have files, "." among them
	omitted map[string]bool   // files that Flux leaves out
}

// newSource takes files by their paths, "deploy/service.yaml".
func newSource(files map[string][]byte) (source, []Problem) {
	s := source{files: map[string][]byte{}, folders: map[string]bool{".": true}, omitted: map[string]bool{}}
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(files)) {
		switch {
		case !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\\x00"):
			problems = append(problems, failed("", "%q is no path of a file in the artifact", name))
		case path.Base(name) == ignoreFile:
			problems = append(problems, failed("", "%s: an artifact cannot say which of its files Flux leaves out; take the file out of it, and those that it names", name))
		case ignored(name):
			s.omitted[name] = true
		default:
			s.files[name] = files[name]
			for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
				s.folders[dir] = true
			}
		}
	}
	for name := range s.files {
		if s.folders[name] {
			problems = append(problems, failed("", "%s is a file and a folder", name))
		}
	}
	return s, problems
}

// ignoreFile is where Flux's sources read what else to leave out.
const ignoreFile = ".sourceignore"

// What Flux's GitRepository leaves out by itself: github.com/fluxcd/pkg/sourceignore.
var (
	ignoredNames = []string{
		".git", ".gitignore", ".gitmodules", ".gitattributes",
		".travis.yml", ".gitlab-ci.yml", "appveyor.yml", ".drone.yml", "cloudbuild.yaml", "codeship-services.yml", "codeship-steps.yml",
		".goreleaser.yml", ".sops.yaml", ".flux.yaml",
	}
	ignoredFolders = []string{".git", ".github", ".circleci"}
	ignoredEndings = []string{".jpg", ".jpeg", ".gif", ".png", ".wmv", ".flv", ".tar.gz", ".zip"}
)

// ignored says whether Flux's sources leave a file out.
func ignored(name string) bool {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		inFolder := i < len(parts)-1
		switch {
		case inFolder && slices.Contains(ignoredFolders, part), slices.Contains(ignoredNames, part):
			return true
		case slices.ContainsFunc(ignoredEndings, func(ending string) bool { return strings.HasSuffix(part, ending) }):
			return true
		}
	}
	return false
}

// kustomizationIn is the path of a folder's kustomization file; "" when it has none.
func (s source) kustomizationIn(dir string) string {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		if _, ok := s.files[path.Join(dir, name)]; ok {
			return path.Join(dir, name)
		}
	}
	return ""
}

// manifests are what Flux lists in the kustomization file that it generates for a folder without one: every YAML file in and
// below it, and folders that have a kustomization file.
func (s source) manifests() []string {
	var out []string
	for name := range s.files {
		switch dir, extension := s.kustomized(name), path.Ext(name); {
		case dir != "":
			out = append(out, "./"+dir)
		case extension == ".yaml" || extension == ".yml":
			out = append(out, "./"+name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// kustomized is the outermost folder around a file that has a kustomization file; "" when there is none.
func (s source) kustomized(name string) (found string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if s.kustomizationIn(dir) != "" {
			found = dir
		}
	}
	return found
}

// tree is the files as a file system, which a zip is.
func (s source) tree() (fs.FS, error) {
	var content bytes.Buffer
	w := zip.NewWriter(&content)
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		file, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			return nil, fmt.Errorf("keep %s: %w", name, err)
		}
		if _, err := file.Write(s.files[name]); err != nil {
			return nil, fmt.Errorf("keep %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("keep the files: %w", err)
	}
	return zip.NewReader(bytes.NewReader(content.Bytes()), int64(content.Len()))
}
