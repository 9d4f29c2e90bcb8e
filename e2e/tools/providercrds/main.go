// Command providercrds renders the CustomResourceDefinitions of Cluster API providers from kustomize folders
// (config/crd of a provider's module), so that they carry the labels that say which Cluster API
// contract each version speaks. Conversion webhooks are dropped: nothing serves them here, and only
// the storage version is used. Kinds that are not asked for are left out: each costs an API server
// memory and start time.
//
// Usage: providercrds -kinds Cluster,MachinePool,... DIR... > crds.yaml
package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

func main() {
	kinds := flag.String("kinds", "", "the kinds to render, separated by commas")
	flag.Parse()
	if *kinds == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := render(os.Stdout, strings.Split(*kinds, ","), flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// render writes the CustomResourceDefinitions of the kinds as YAML documents. Each kind must be in
// one of the kustomize folders.
func render(w io.Writer, kinds, dirs []string) error {
	missing := make(map[string]bool, len(kinds))
	for _, kind := range kinds {
		missing[kind] = true
	}
	for _, dir := range dirs {
		built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
		if err != nil {
			return fmt.Errorf("build %s: %w", dir, err)
		}
		for _, resource := range built.Resources() {
			if resource.GetKind() != "CustomResourceDefinition" {
				continue
			}
			if err := write(w, resource, missing); err != nil {
				return fmt.Errorf("write %s of %s: %w", resource.GetName(), dir, err)
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("find kinds: none of the folders has %s", strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	}
	return nil
}

// write writes one definition when its kind is wanted, and takes the kind off the list.
func write(w io.Writer, resource *resource.Resource, wanted map[string]bool) error {
	kind, err := resource.GetString("spec.names.kind")
	if err != nil || !wanted[kind] {
		return err
	}
	delete(wanted, kind)
	object, err := resource.Map()
	if err != nil {
		return err
	}
	if spec, ok := object["spec"].(map[string]any); ok {
		delete(spec, "conversion")
	}
	document, err := yaml.Marshal(object)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "---\n%s", document)
	return err
}
