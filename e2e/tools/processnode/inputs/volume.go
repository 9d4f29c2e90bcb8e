package inputs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Volumes are those of one pod.
type Volumes struct {
	objects Objects
	pod     *corev1.Pod // as it was created: nothing that volumes depend on can change, labels and annotations aside
	dir     string
	group   *int64 // the pod's fsGroup, unless files cannot be given to another group here
	tokens  tokens

	mu    sync.Mutex
	paths map[string]string
}

// VolumeError says which volume could not be made.
type VolumeError struct {
	Volume string
	Err    error
}

func (e *VolumeError) Error() string {
	return fmt.Sprintf("MountVolume.SetUp failed for volume %q : %v", e.Volume, e.Err)
}

func (e *VolumeError) Unwrap() error { return e.Err }

// NewVolumes makes the volumes of pod below dir. With giveAway, files are given to the pod's fsGroup.
func NewVolumes(o Objects, pod *corev1.Pod, dir string, giveAway bool) *Volumes {
	v := &Volumes{objects: o, pod: pod, dir: dir, paths: map[string]string{}}
	v.tokens = tokens{client: o.Client, pod: pod, have: map[string]token{}}
	if sc := pod.Spec.SecurityContext; sc != nil && giveAway {
		v.group = sc.FSGroup
	}
	return v
}

// Path is where a volume is found on the host; false until Sync has made it.
func (v *Volumes) Path(name string) (string, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p, ok := v.paths[name]
	return p, ok
}

// Sync makes all volumes, or renews what has changed in them: tokens, ConfigMaps, Secrets. Its error is a *VolumeError.
// It must not be called twice at the same time.
func (v *Volumes) Sync(ctx context.Context) error {
	for i := range v.pod.Spec.Volumes {
		volume := &v.pod.Spec.Volumes[i]
		path, err := v.make(ctx, volume)
		if err != nil {
			return &VolumeError{Volume: volume.Name, Err: err}
		}
		v.mu.Lock()
		v.paths[volume.Name] = path
		v.mu.Unlock()
	}
	return nil
}

func (v *Volumes) make(ctx context.Context, volume *corev1.Volume) (string, error) {
	dir := filepath.Join(v.dir, volume.Name)
	switch {
	case volume.EmptyDir != nil:
		return dir, v.emptyDir(dir)
	case volume.HostPath != nil:
		return volume.HostPath.Path, hostPath(volume.HostPath)
	case volume.PersistentVolumeClaim != nil:
		return v.claimed(ctx, volume.PersistentVolumeClaim.ClaimName)
	}
	files, err := v.files(ctx, volume)
	if err != nil {
		return "", err
	}
	return dir, writeAtomic(dir, files, v.group)
}

func (v *Volumes) emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if v.group == nil {
		return os.Chmod(dir, 0o777) // past the umask
	}
	if err := os.Chown(dir, -1, int(*v.group)); err != nil {
		return err
	}
	return os.Chmod(dir, 0o777|os.ModeSetgid)
}

func hostPath(h *corev1.HostPathVolumeSource) error {
	if h.Type != nil && *h.Type == corev1.HostPathDirectoryOrCreate {
		return os.MkdirAll(h.Path, 0o755)
	}
	return nil
}

// claimed finds the folder behind a claim that is bound to a volume of this machine.
func (v *Volumes) claimed(ctx context.Context, claim string) (string, error) {
	api := v.objects.Client.CoreV1()
	pvc, err := api.PersistentVolumeClaims(v.pod.Namespace).Get(ctx, claim, metav1.GetOptions{})
	if err != nil {
		return "", inKubeletWords(err, "persistentvolumeclaim", claim)
	}
	if pvc.Spec.VolumeName == "" {
		return "", fmt.Errorf("persistentvolumeclaim %q is not bound", claim)
	}
	pv, err := api.PersistentVolumes().Get(ctx, pvc.Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		return "", inKubeletWords(err, "persistentvolume", pvc.Spec.VolumeName)
	}
	path := ""
	switch {
	case pv.Spec.HostPath != nil:
		path = pv.Spec.HostPath.Path
	case pv.Spec.Local != nil:
		path = pv.Spec.Local.Path
	default:
		return "", fmt.Errorf("persistentvolume %q is not a folder of this machine", pv.Name)
	}
	return path, v.emptyDir(path)
}

// files are the contents of a volume that is made of files.
func (v *Volumes) files(ctx context.Context, volume *corev1.Volume) (map[string]file, error) {
	files := contents{volumes: v, files: map[string]file{}}
	var err error
	switch {
	case volume.ConfigMap != nil:
		s := volume.ConfigMap
		files.mode = s.DefaultMode
		err = files.add(ctx, configMap(s.Name, s.Optional), s.Items)
	case volume.Secret != nil:
		s := volume.Secret
		files.mode = s.DefaultMode
		err = files.add(ctx, secret(s.SecretName, s.Optional), s.Items)
	case volume.DownwardAPI != nil:
		files.mode = volume.DownwardAPI.DefaultMode
		err = files.addFields(volume.DownwardAPI.Items)
	case volume.Projected != nil:
		files.mode = volume.Projected.DefaultMode
		for i := range volume.Projected.Sources {
			if err = files.addProjection(ctx, &volume.Projected.Sources[i]); err != nil {
				break
			}
		}
	default:
		err = errors.New("a process node has no volumes of this type")
	}
	return files.files, err
}
