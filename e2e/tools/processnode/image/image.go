// Package image says which local program stands for a container image.
package image

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// defaultUser is the user of an image that does not name one: nobody, as in the distroless images of this field.
const defaultUser = 65534

// Image is one program and the image repositories that it stands for.
type Image struct {
	// Prefix is an image repository without tag and digest. It stands for this repository and, by path segments, for
	// those below it: "registry.example/apps" covers "registry.example/apps/web:1" but not "registry.example/apps2".
	Prefix string `json:"prefix"`
	// Binary is the absolute path of the program on this machine.
	Binary string `json:"binary"`
	// Entrypoint is where the program is found inside the container; empty means /usr/local/bin/<name of the binary>.
	Entrypoint string `json:"entrypoint,omitempty"`
	// Env is the environment that the image brings along; the pod's own wins.
	Env map[string]string `json:"env,omitempty"`
	// Tags are the tags that exist; a pull of any other fails. Empty means that every tag and digest exists.
	Tags []string `json:"tags,omitempty"`
	// User is the numeric user that the image runs as, 65534 when unset.
	User *int64 `json:"user,omitempty"`
}

// Path is where the program is found inside the container.
func (i Image) Path() string {
	if i.Entrypoint != "" {
		return i.Entrypoint
	}
	return "/usr/local/bin/" + filepath.Base(i.Binary)
}

// UserID is the user that the image runs as when the pod asks for none.
func (i Image) UserID() int64 {
	if i.User != nil {
		return *i.User
	}
	return defaultUser
}

// Argv is the command line of a container: command and args are those of the pod, already expanded. A command whose first
// word names the program is the program with the rest as its arguments; any other command is run as it stands.
func (i Image) Argv(command, args []string) []string {
	if len(command) == 0 {
		return append([]string{i.Path()}, args...)
	}
	first, name := command[0], filepath.Base(command[0])
	if name == filepath.Base(i.Binary) || name == filepath.Base(i.Path()) {
		first = i.Path()
	}
	return slices.Concat([]string{first}, command[1:], args)
}

// Table is every image that a node can run.
type Table []Image

// Load reads a table: a YAML list of images.
func Load(path string) (Table, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read image table: %w", err)
	}
	var t Table
	if err := yaml.UnmarshalStrict(data, &t); err != nil {
		return nil, fmt.Errorf("parse image table %s: %w", path, err)
	}
	for n, i := range t {
		if i.Prefix == "" || !filepath.IsAbs(i.Binary) || (i.Entrypoint != "" && !filepath.IsAbs(i.Entrypoint)) {
			return nil, fmt.Errorf("parse image table %s: entry %d needs a prefix, and absolute paths as binary and entrypoint", path, n)
		}
	}
	return t, nil
}

// Find is the image that ref, as written in a pod, stands for; the longest prefix wins. False means that no registry has it.
func (t Table) Find(ref string) (Image, bool) {
	repository, tag := Split(ref)
	var best Image
	found := false
	for _, i := range t {
		if covers(i.Prefix, repository) && len(i.Prefix) > len(best.Prefix) {
			best, found = i, true
		}
	}
	if found && len(best.Tags) > 0 && !slices.Contains(best.Tags, tag) {
		return Image{}, false
	}
	return best, found
}

// Split takes an image reference apart: "host:5000/a/b:tag@sha256:…" is repository "host:5000/a/b" and tag "tag". Without a
// tag and a digest the tag is "latest"; with a digest alone it is empty.
func Split(ref string) (repository, tag string) {
	repository, _, digest := strings.Cut(ref, "@")
	slash := strings.LastIndexByte(repository, '/')
	if colon := strings.LastIndexByte(repository, ':'); colon > slash {
		return repository[:colon], repository[colon+1:]
	}
	if digest {
		return repository, ""
	}
	return repository, "latest"
}

func covers(prefix, repository string) bool {
	rest, ok := strings.CutPrefix(repository, prefix)
	return ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(prefix, "/"))
}
