package inputs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	corev1 "k8s.io/api/core/v1"
)

// file is one file of a volume.
type file struct {
	data []byte
	mode fs.FileMode
}

// contents collects the files of one volume, by path.
type contents struct {
	volumes *Volumes
	mode    *int32 // default of the volume
	files   map[string]file
}

func (c contents) put(path string, data []byte, mode *int32) {
	f := file{data: data, mode: 0o644}
	if mode == nil {
		mode = c.mode
	}
	if mode != nil {
		f.mode = fs.FileMode(*mode)
	}
	c.files[path] = f
}

func (c contents) addProjection(ctx context.Context, s *corev1.VolumeProjection) error {
	switch {
	case s.ConfigMap != nil:
		return c.add(ctx, configMap(s.ConfigMap.Name, s.ConfigMap.Optional), s.ConfigMap.Items)
	case s.Secret != nil:
		return c.add(ctx, secret(s.Secret.Name, s.Secret.Optional), s.Secret.Items)
	case s.DownwardAPI != nil:
		return c.addFields(s.DownwardAPI.Items)
	case s.ServiceAccountToken != nil:
		return c.addToken(ctx, s.ServiceAccountToken)
	}
	return errors.New("a process node projects ConfigMaps, Secrets, fields and service account tokens only")
}

// add puts all keys of an object, or the listed ones under their paths.
func (c contents) add(ctx context.Context, ref object, items []corev1.KeyToPath) error {
	data, err := c.volumes.objects.data(ctx, c.volumes.pod.Namespace, ref)
	if err != nil {
		return err
	}
	if len(items) == 0 {
		for k, v := range data {
			c.put(k, v, nil)
		}
		return nil
	}
	for _, i := range items {
		v, ok := data[i.Key]
		switch {
		case ok:
			c.put(i.Path, v, i.Mode)
		case ref.optional:
		case ref.kind == "ConfigMap":
			return fmt.Errorf("configmap references non-existent config key: %s", i.Key)
		default:
			return fmt.Errorf("references non-existent secret key: %s", i.Key)
		}
	}
	return nil
}

func (c contents) addFields(items []corev1.DownwardAPIVolumeFile) error {
	for _, i := range items {
		if i.FieldRef == nil {
			return errors.New("a process node shows fields, not resources, in volumes")
		}
		v, err := Field(c.volumes.pod, i.FieldRef.FieldPath)
		if err != nil {
			return err
		}
		c.put(i.Path, []byte(v), i.Mode)
	}
	return nil
}

// addToken puts a token that only the owner, and the pod's fsGroup, may read; anybody when there is no such group, since
// the container's user need not be the owner.
func (c contents) addToken(ctx context.Context, s *corev1.ServiceAccountTokenProjection) error {
	t, err := c.volumes.tokens.get(ctx, s)
	if err != nil {
		return err
	}
	mode := int32(0o644)
	if c.volumes.group != nil {
		mode = 0o600
	}
	c.put(s.Path, []byte(t), &mode)
	return nil
}
