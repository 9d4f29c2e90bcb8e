package survey

import (
	"strconv"
	"strings"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// objectOf is what a survey keeps of an object's metadata.
func objectOf(r resource, meta *metav1.PartialObjectMetadata) Object {
	return Object{
		APIVersion: shared(r.GroupVersion().String()), Kind: r.kind,
		Namespace: shared(meta.Namespace), Name: meta.Name,
		Labels: pick(meta.Labels, ownerLabels), Annotations: pick(meta.Annotations, ownerAnnotations),
		Writers: writersOf(meta.ManagedFields),
	}
}

// writersOf are the field managers of an object, each once a version. Who writes its status or its
// scale does not keep it.
func writersOf(entries []metav1.ManagedFieldsEntry) []Writer {
	var out []Writer
	for _, entry := range entries {
		if entry.Subresource != "" {
			continue
		}
		writer := Writer{shared(entry.Manager), shared(entry.APIVersion), entry.Operation == metav1.ManagedFieldsOperationApply}
		known := false
		for _, have := range out {
			known = known || have == writer
		}
		if !known {
			out = append(out, writer)
		}
	}
	return out
}

func pick(from map[string]string, keys []string) map[string]string {
	var out map[string]string
	for _, key := range keys {
		value, ok := from[key]
		if !ok {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[key] = shared(short(value))
	}
	return out
}

// maxText of what a cluster says of itself, in bytes: names of Kubernetes have 253.
const maxText = 512

// short cuts a text that anybody on the cluster may have written.
func short(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// shared is a text that many objects have, held once.
func shared(text string) string { return unique.Make(text).Value() }

// chartOf reads the labels that Helm puts on its records.
func chartOf(meta *metav1.PartialObjectMetadata) Chart {
	revision, err := strconv.Atoi(meta.Labels["version"])
	if err != nil {
		revision = 0 // it sorts before any real one
	}
	return Chart{Namespace: meta.Namespace, Name: meta.Labels["name"], Revision: revision, Status: meta.Labels["status"]}
}
