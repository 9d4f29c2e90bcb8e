package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"sync"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// one lets one kustomize run at a time: it keeps schemas in variables of its packages.
var one sync.Mutex

// kustomize builds the artifact with root as its kustomization file. All that it reads has been looked at.
func (s source) kustomize(root types.Kustomization, file string) (_ []*resource.Resource, err error) {
	defer func() {
		if cause := recover(); cause != nil { // as it does for some objects that are not valid
			err = fmt.Errorf("it breaks off: %v", cause)
		}
	}()
	content, err := yaml.Marshal(root)
	if err != nil {
		return nil, err
	}
	one.Lock()
	defer one.Unlock()
	made, err := krusty.MakeKustomizer(&krusty.Options{
		LoadRestrictions: types.LoadRestrictionsNone, PluginConfig: types.DisabledPluginConfig(),
	}).Run(disk{FileSystem: filesys.MakeFsInMemory(), source: s, file: file, content: content}, home)
	if err != nil {
		return nil, errors.New(shorter(err.Error()))
	}
	return made.Resources(), nil
}

// asFolder is what kustomize adds of a file of objects that it cannot take: that it is no folder either.
var asFolder = regexp.MustCompile(`accumulation err='(.*)': must build at directory: '[^']*': file is not directory`)

// shorter is an error of kustomize without what says nothing of the artifact.
func shorter(text string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, home+"/", ""), home, ".")
	return asFolder.ReplaceAllString(strings.ReplaceAll(text, "\n", " "), "$1")
}

// home is the folder that kustomize has the artifact in.
const home = "/artifact"

// disk is the files of an artifact for kustomize, which reads and never writes, with another content of one of them.
type disk struct {
	filesys.FileSystem // an empty one, for what kustomize does not ask here
	source
	file    string
	content []byte
}

// in is the path in the artifact.
func in(name string) string {
	name = path.Clean(name)
	if name == home {
		return "."
	}
	return strings.TrimPrefix(name, home+"/")
}

func (d disk) ReadFile(name string) ([]byte, error) {
	if in(name) == d.file {
		return d.content, nil
	}
	content, ok := d.files[in(name)]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: in(name), Err: fs.ErrNotExist}
	}
	return content, nil
}

func (d disk) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
	name = path.Clean(name)
	switch {
	case d.IsDir(name):
		return filesys.ConfirmedDir(name), "", nil
	case d.Exists(name):
		return filesys.ConfirmedDir(path.Dir(name)), path.Base(name), nil
	}
	return "", "", &fs.PathError{Op: "open", Path: in(name), Err: fs.ErrNotExist}
}

func (d disk) Exists(name string) bool {
	_, ok := d.files[in(name)]
	return ok || in(name) == d.file || d.IsDir(name)
}

func (d disk) IsDir(name string) bool { return d.folders[in(name)] }
