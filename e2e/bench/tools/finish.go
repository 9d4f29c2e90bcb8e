package tools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// finisher makes files in out, which already holds the tool's binaries. Its output goes to log.
type finisher func(ctx context.Context, repository, out string, log io.Writer) error

// assetNames are the files that controller-runtime's envtest wants in KUBEBUILDER_ASSETS.
var assetNames = []string{"etcd", "kube-apiserver", "kubectl"}

// linkAssets makes the folder for KUBEBUILDER_ASSETS: links to kube, which chooses its part by the
// name it is called by.
func linkAssets(_ context.Context, _, out string, _ io.Writer) error {
	dir := filepath.Join(out, kubeAssets)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("create assets: %w", err)
	}
	for _, name := range assetNames {
		if err := os.Symlink(filepath.Join("..", Kube), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("link asset: %w", err)
		}
	}
	return nil
}

// renderFlux renders the manifests of the very controllers that the flux tools build.
func renderFlux(ctx context.Context, repository, out string, log io.Writer) error {
	flux2, err := findModule(ctx, filepath.Join(repository, toolDir(FluxManifests)), "github.com/fluxcd/flux2/v2")
	if err != nil {
		return err
	}
	if flux2.version != FluxVersion {
		return fmt.Errorf("render Flux: the module has flux2 %s, FluxVersion says %s", flux2.version, FluxVersion)
	}
	args := []string{"-flux", flux2.dir, "-version", flux2.version}
	for _, controller := range []struct{ name, tool string }{
		{"source-controller", Flux}, {"kustomize-controller", Flux},
		{"helm-controller", Flux}, {"notification-controller", FluxNotification},
	} {
		found, err := findModule(ctx, filepath.Join(repository, toolDir(controller.tool)), "github.com/fluxcd/"+controller.name)
		if err != nil {
			return err
		}
		args = append(args, controller.name+"="+found.dir)
	}
	return runInto(ctx, filepath.Join(out, FluxComponents), log, filepath.Join(out, FluxManifests), args...)
}

// crdKinds are the kinds that the bench has use for: those of Cluster API's core group, and what a
// managed cluster needs of the AWS and Azure providers.
var crdKinds = []string{
	"Cluster", "ClusterClass", "Machine", "MachineDeployment", "MachineDrainRule", "MachineHealthCheck", "MachinePool", "MachineSet",
	"AWSManagedCluster", "AWSManagedControlPlane", "AWSManagedMachinePool", "AWSClusterControllerIdentity", "AWSClusterRoleIdentity",
	"AzureASOManagedCluster", "AzureASOManagedControlPlane", "AzureASOManagedMachinePool",
}

// renderCRDs renders the CRDs of Cluster API core and of the AWS and Azure providers.
func renderCRDs(ctx context.Context, repository, out string, log io.Writer) error {
	args := []string{"-kinds", strings.Join(crdKinds, ",")}
	for _, provider := range []struct{ module, crds string }{
		{"sigs.k8s.io/cluster-api", "core/config/crd"},
		{"sigs.k8s.io/cluster-api-provider-aws/v2", "config/crd"},
		{"sigs.k8s.io/cluster-api-provider-azure", "config/crd"},
	} {
		found, err := findModule(ctx, filepath.Join(repository, toolDir(ProviderCRDs)), provider.module)
		if err != nil {
			return err
		}
		args = append(args, filepath.Join(found.dir, filepath.FromSlash(provider.crds)))
	}
	return runInto(ctx, filepath.Join(out, ClusterAPICRDs), log, filepath.Join(out, ProviderCRDs), args...)
}

type module struct{ version, dir string }

// findModule returns where the module cache holds a module in the version that the module in
// folder from uses, downloading it when needed.
func findModule(ctx context.Context, from, path string) (module, error) {
	out, err := goOutput(ctx, from, "list", "-m", "-f", "{{.Version}} {{.Dir}}", path)
	if err != nil {
		return module{}, err
	}
	if version, dir, _ := strings.Cut(out, " "); dir != "" {
		return module{version: version, dir: dir}, nil
	}
	if _, err := goOutput(ctx, from, "mod", "download", path); err != nil {
		return module{}, err
	}
	if out, err = goOutput(ctx, from, "list", "-m", "-f", "{{.Version}} {{.Dir}}", path); err != nil {
		return module{}, err
	}
	version, dir, _ := strings.Cut(out, " ")
	if dir == "" {
		return module{}, fmt.Errorf("find module %s: not downloaded", path)
	}
	return module{version: version, dir: dir}, nil
}

// goOutput runs the go command in dir and returns its trimmed output; an error holds what it
// wrote to stderr.
func goOutput(ctx context.Context, dir string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = dir
	out, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "", fmt.Errorf("run go %s: %w: %s", args[0], err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("run go %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}

// runInto runs a program with its standard output in a new file.
func runInto(ctx context.Context, file string, log io.Writer, program string, args ...string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("create %s: %w", filepath.Base(file), err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	command := exec.CommandContext(ctx, program, args...)
	command.Stdout, command.Stderr = out, log
	if err := command.Run(); err != nil {
		return fmt.Errorf("run %s: %w", filepath.Base(program), err)
	}
	return nil
}
