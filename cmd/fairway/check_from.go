package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/client"
)

// maxFrom is the size, in bytes, of the largest file of objects that is read.
const maxFrom = 64 << 20

// readWanted reads what kubectl get -o yaml printed. Other kinds are left out.
func readWanted(path string, stdin io.Reader) (out wanted, err error) {
	in := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return out, &client.Error{Op: "read --from", Err: err, Fix: "write it with: kubectl get fleets,workloadclusters -A -o yaml"}
		}
		defer file.Close()
		in = file
	}
	fleets := 0
	decoder := yaml.NewYAMLOrJSONDecoder(io.LimitReader(in, maxFrom), 4096)
	for err == nil {
		obj := &unstructured.Unstructured{}
		if err = decoder.Decode(&obj.Object); err != nil || obj.Object == nil {
			continue
		}
		err = eachObject(obj, func(obj *unstructured.Unstructured) error {
			if obj.GroupVersionKind() == fleetv1.GroupVersion.WithKind("Fleet") {
				fleets++
			}
			return out.take(obj)
		})
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil && fleets != 1 {
		err = fmt.Errorf("it has %d Fleets, not one", fleets)
	}
	if err != nil {
		return wanted{}, &client.Error{Op: "read --from", Err: err, Fix: "write it with: kubectl get fleets,workloadclusters -A -o yaml"}
	}
	return out, nil
}

// eachObject visits an object, or those of a List.
func eachObject(obj *unstructured.Unstructured, visit func(*unstructured.Unstructured) error) error {
	if !obj.IsList() {
		return visit(obj)
	}
	return obj.EachListItem(func(item runtime.Object) error {
		each, ok := item.(*unstructured.Unstructured)
		if !ok {
			return fmt.Errorf("read list: %T is no object", item)
		}
		return visit(each)
	})
}

// take keeps an object that matters.
func (w *wanted) take(obj *unstructured.Unstructured) error {
	switch obj.GroupVersionKind() {
	case fleetv1.GroupVersion.WithKind("Fleet"):
		return runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &w.fleet)
	case fleetv1.GroupVersion.WithKind("WorkloadCluster"):
		var cluster fleetv1.WorkloadCluster
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &cluster); err != nil {
			return err
		}
		w.clusters = append(w.clusters, cluster)
	}
	return nil
}
