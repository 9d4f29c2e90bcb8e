package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/fabric"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/image"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/inputs"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/sandbox"
)

// searchPath is the PATH of images that set none.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// sandboxSpec says how the container is run. An error is a CreateContainerConfigError.
func (c container) sandboxSpec(ctx context.Context, img image.Image) (sandbox.Spec, error) {
	env, err := c.pod.node.Environment.Build(ctx, c.pod.Object(), c.spec)
	if err != nil {
		return sandbox.Spec{}, err
	}
	pod := c.pod.created
	user, err := runAs(pod, c.spec, img)
	if err != nil {
		return sandbox.Spec{}, err
	}
	user.Keep = c.pod.node.KeepUser
	mounts, err := c.mounts()
	if err != nil {
		return sandbox.Spec{}, err
	}
	home := "/"
	if user.UID == 0 {
		home = "/root"
	}
	sc := c.spec.SecurityContext
	return sandbox.Spec{
		Root:     filepath.Join(c.pod.node.State, rootDir),
		Hostname: hostname(pod),
		Dir:      c.spec.WorkingDir,
		Files:    c.files(user),
		Mounts:   append(mounts, sandbox.Mount{Source: img.Binary, Target: img.Path(), ReadOnly: true}),
		Argv:     img.Argv(inputs.ExpandAll(c.spec.Command, env), inputs.ExpandAll(c.spec.Args, env)),
		Env:      inputs.List(map[string]string{"PATH": searchPath, "HOME": home, "HOSTNAME": hostname(pod)}, img.Env, env),
		User:     user,
		ReadOnly: sc != nil && sc.ReadOnlyRootFilesystem != nil && *sc.ReadOnlyRootFilesystem,
	}, nil
}

// rootDir is the empty folder that roots of containers are mounted on.
const rootDir = ".root"

func hostname(pod *corev1.Pod) string {
	if pod.Spec.Hostname != "" {
		return pod.Spec.Hostname
	}
	return pod.Name
}

var errRunAsRoot = errors.New("container has runAsNonRoot and image will run as root")

// runAs is the user of a container: its own, the pod's, or the image's.
func runAs(pod *corev1.Pod, c *corev1.Container, img image.Image) (sandbox.User, error) {
	ps, cs := pod.Spec.SecurityContext, c.SecurityContext
	if ps == nil {
		ps = &corev1.PodSecurityContext{}
	}
	if cs == nil {
		cs = &corev1.SecurityContext{}
	}
	uid := first(cs.RunAsUser, ps.RunAsUser, new(img.UserID()))
	u := sandbox.User{UID: int(*uid), GID: int(*first(cs.RunAsGroup, ps.RunAsGroup, uid))}
	if nonRoot := first(cs.RunAsNonRoot, ps.RunAsNonRoot, new(false)); *nonRoot && u.UID == 0 {
		return u, fmt.Errorf("%w (pod: %q, container: %s)", errRunAsRoot, pod.Name+"_"+pod.Namespace+"("+string(pod.UID)+")", c.Name)
	}
	for _, g := range ps.SupplementalGroups {
		u.Groups = append(u.Groups, int(g))
	}
	if ps.FSGroup != nil {
		u.Groups = append(u.Groups, int(*ps.FSGroup))
	}
	return u, nil
}

// first is the first that is set.
func first[T any](values ...*T) *T {
	for _, v := range values {
		if v != nil {
			return v
		}
	}
	return nil
}

// mounts are the container's volume mounts.
func (c container) mounts() ([]sandbox.Mount, error) {
	var out []sandbox.Mount
	for _, m := range c.spec.VolumeMounts {
		source, ok := c.pod.volumes.Path(m.Name)
		if !ok {
			return nil, fmt.Errorf("volume %q is not there", m.Name)
		}
		if m.SubPath != "" {
			var err error
			if source, err = subPath(source, m.SubPath); err != nil {
				return nil, fmt.Errorf("failed to prepare subPath for volumeMount %q: %w", m.Name, err)
			}
		}
		out = append(out, sandbox.Mount{Source: source, Target: m.MountPath, ReadOnly: m.ReadOnly})
	}
	return out, nil
}

// subPath is a file or folder of a volume, made as a folder when it is not there.
func subPath(volume, sub string) (string, error) {
	if !filepath.IsLocal(sub) {
		return "", fmt.Errorf("%q leads out of the volume", sub)
	}
	full := filepath.Join(volume, sub)
	if real, err := filepath.EvalSymlinks(full); err == nil {
		return real, nil
	}
	if err := os.MkdirAll(full, 0o777); err != nil {
		return "", err
	}
	return full, os.Chmod(full, 0o777)
}

// files are the small files that a container runtime and a kubelet put into a container.
func (c container) files(user sandbox.User) map[string]string {
	pod, network := c.pod.created, c.pod.Network()
	hosts := "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
		fmt.Sprintf("%s\t%s\n", network.IP, hostname(pod))
	for _, a := range pod.Spec.HostAliases {
		hosts += fmt.Sprintf("%s\t%s\n", a.IP, strings.Join(a.Hostnames, "\t"))
	}
	passwd, group := "root:x:0:0:root:/root:/bin/sh\n", "root:x:0:\n"
	if user.UID != 0 {
		passwd += fmt.Sprintf("app:x:%d:%d:app:/:/sbin/nologin\n", user.UID, user.GID)
	}
	if user.GID != 0 {
		group += fmt.Sprintf("app:x:%d:\n", user.GID)
	}
	return map[string]string{
		"/etc/hosts": hosts, "/etc/passwd": passwd, "/etc/group": group,
		"/etc/hostname":      hostname(pod) + "\n",
		"/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
		"/etc/resolv.conf": fmt.Sprintf("search %[1]s.svc.%[2]s svc.%[2]s %[2]s\nnameserver %[3]s\noptions ndots:5 timeout:2 attempts:2\n",
			pod.Namespace, fabric.Domain, c.pod.node.Fabric.Gateway()),
	}
}
