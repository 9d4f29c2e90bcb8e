// Command fluxmanifests renders gotk-components.yaml, the manifests that install Flux, with flux2's
// own generator, offline: what a Flux release downloads from the controllers' releases is rendered
// from the controllers' modules instead. The bases of flux2 and the kustomize folders of the
// controllers are taken as they are.
//
// Usage: fluxmanifests -flux DIR -version v2.9.5 NAME=DIR... > gotk-components.yaml
//
// where -flux is flux2's module and each NAME=DIR a controller and its module.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fluxcd/flux2/v2/pkg/manifestgen/install"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

func main() {
	flux := flag.String("flux", "", "folder of the flux2 module")
	version := flag.String("version", "", "version of Flux that the manifests state")
	flag.Parse()
	if *flux == "" || *version == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	out, err := generate(filepath.Join(*flux, "manifests"), *version, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(out)
}

// generate renders the base of every controller into one folder and lets flux2 build the
// installation from it.
func generate(manifests, version string, controllers []string) (_ string, err error) {
	base, err := os.MkdirTemp("", "fluxmanifests-")
	if err != nil {
		return "", fmt.Errorf("create work folder: %w", err)
	}
	defer func() { err = joinRemove(err, base) }()

	options := install.MakeDefaultOptions()
	options.Version, options.Components = version, nil
	for _, controller := range controllers {
		name, dir, ok := strings.Cut(controller, "=")
		if !ok {
			return "", fmt.Errorf("read argument %q: want NAME=DIR", controller)
		}
		if err := renderController(base, manifests, name, dir); err != nil {
			return "", err
		}
		options.Components = append(options.Components, name)
	}
	for _, name := range []string{"rbac", "policies"} {
		if err := render(filepath.Join(manifests, name), filepath.Join(base, name+".yaml")); err != nil {
			return "", err
		}
	}
	// A BaseURL that starts with http (the default) makes Generate build from the given folder.
	manifest, err := install.Generate(options, base)
	if err != nil {
		return "", fmt.Errorf("generate install manifests: %w", err)
	}
	return manifest.Content, nil
}

// renderController writes base/<name>.yaml: flux2's base of the controller, with the controller's
// own manifests where the base names those of a release.
func renderController(base, manifests, name, module string) error {
	overlay := filepath.Join(base, "overlays", name)
	if err := os.CopyFS(overlay, os.DirFS(filepath.Join(manifests, "bases", name))); err != nil {
		return fmt.Errorf("copy base of %s: %w", name, err)
	}
	for from, to := range map[string]string{"crd": "crds.yaml", "manager": "deployment.yaml"} {
		if err := render(filepath.Join(module, "config", from), filepath.Join(overlay, to)); err != nil {
			return err
		}
	}
	if err := useLocalFiles(filepath.Join(overlay, "kustomization.yaml"), name); err != nil {
		return err
	}
	return render(overlay, filepath.Join(base, name+".yaml"))
}

// useLocalFiles replaces the addresses …/<name>.crds.yaml and …/<name>.deployment.yaml in a
// kustomization's resources with the files crds.yaml and deployment.yaml beside it.
func useLocalFiles(path, name string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read kustomization of %s: %w", name, err)
	}
	var kustomization map[string]any
	if err := yaml.Unmarshal(data, &kustomization); err != nil {
		return fmt.Errorf("parse %s: %w", path, err)
	}
	resources, _ := kustomization["resources"].([]any)
	for i, resource := range resources {
		if address, ok := resource.(string); ok && strings.HasPrefix(address, "https://") {
			resources[i] = strings.TrimPrefix(filepath.Base(address), name+".")
		}
	}
	if data, err = yaml.Marshal(kustomization); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	// CopyFS keeps the module cache's read-only mode.
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return os.WriteFile(path, data, 0o600)
}

// render builds a kustomize folder into one file.
func render(dir, file string) error {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return fmt.Errorf("build %s: %w", dir, err)
	}
	data, err := built.AsYaml()
	if err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	return os.WriteFile(file, data, 0o600)
}

func joinRemove(err error, dir string) error {
	if removed := os.RemoveAll(dir); removed != nil && err == nil {
		return fmt.Errorf("remove work folder: %w", removed)
	}
	return err
}
