// Package inputs makes what a pod takes from the cluster: its environment and its volumes. Where something is missing, the
// errors are in a kubelet's own words, since people and tools read them.
package inputs

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Objects reads ConfigMaps and Secrets.
type Objects struct {
	Client kubernetes.Interface
}

// object names a ConfigMap or a Secret.
type object struct {
	kind     string // "ConfigMap" or "Secret"
	name     string
	optional bool
}

func configMap(name string, optional *bool) object {
	return object{kind: "ConfigMap", name: name, optional: optional != nil && *optional}
}

func secret(name string, optional *bool) object {
	return object{kind: "Secret", name: name, optional: optional != nil && *optional}
}

// data reads an object. A missing optional one is empty.
func (o Objects) data(ctx context.Context, namespace string, ref object) (map[string][]byte, error) {
	read := o.configMap
	if ref.kind == "Secret" {
		read = o.secret
	}
	data, err := read(ctx, namespace, ref.name)
	if apierrors.IsNotFound(err) && ref.optional {
		return nil, nil
	}
	return data, err
}

func (o Objects) configMap(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	cm, err := o.Client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, inKubeletWords(err, "configmap", name)
	}
	data := make(map[string][]byte, len(cm.Data)+len(cm.BinaryData))
	maps.Copy(data, cm.BinaryData)
	for k, v := range cm.Data {
		data[k] = []byte(v)
	}
	return data, nil
}

func (o Objects) secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	s, err := o.Client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, inKubeletWords(err, "secret", name)
	}
	return s.Data, nil
}

// inKubeletWords turns the API server's `configmaps "x" not found` into the kubelet's `configmap "x" not found`.
func inKubeletWords(err error, kind, name string) error {
	if apierrors.IsNotFound(err) {
		return apierrors.NewNotFound(corev1.Resource(kind), name)
	}
	return err
}
