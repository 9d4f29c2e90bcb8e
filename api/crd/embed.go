// Package crd holds the generated CustomResourceDefinitions of fleet.fairway.dev.
package crd

import (
	"embed"
	"fmt"
	"io/fs"
)

// Files are the definitions, a YAML document a file.
//
//go:embed *.yaml
var Files embed.FS

// Names are the files' names, in order.
func Names() ([]string, error) {
	names, err := fs.Glob(Files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list definitions: %w", err)
	}
	return names, nil
}

// All are the definitions, each a YAML document, in the order of Names.
func All() ([][]byte, error) {
	names, err := Names()
	if err != nil {
		return nil, err
	}
	all := make([][]byte, 0, len(names))
	for _, name := range names {
		text, err := Files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read definition %s: %w", name, err)
		}
		all = append(all, text)
	}
	return all, nil
}
