package members

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"
)

// object is an object as it is answered. It never changes; members share it.
type object struct {
	hash   [sha256.Size]byte // of what was applied
	json   []byte
	dry    []byte // as the answer to a dry run where there is none: it is not stored, so it has no version
	meta   []byte // as PartialObjectMetadata
	labels labels.Set
	define *kind // of a definition: what it defines
}

// kind is what a definition adds to discovery.
type kind struct {
	group, version, kind, plural, singular string
	namespaced                             bool
}

// store keeps what was applied, by hash.
type store struct {
	mu      sync.Mutex
	objects map[[sha256.Size]byte]*object
}

func newStore() *store { return &store{objects: map[[sha256.Size]byte]*object{}} }

// applied is the object that becomes of an apply.
func (s *store) applied(body []byte) (*object, error) {
	hash := sha256.Sum256(body)
	s.mu.Lock()
	have := s.objects[hash]
	s.mu.Unlock()
	if have != nil {
		return have, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, fmt.Errorf("parse object: %w", err)
	}
	made, err := newObject(hash, fields)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.objects[hash]; have != nil {
		return have, nil
	}
	s.objects[hash] = made
	return made, nil
}

// born is when everything was made, at an object's own moment: nothing here gets older.
var born = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC).Format(time.RFC3339)

// newObject completes what was applied as an API server and the controllers would.
func newObject(hash [sha256.Size]byte, fields map[string]any) (*object, error) {
	metadata, _ := fields["metadata"].(map[string]any)
	if metadata == nil {
		return nil, fmt.Errorf("%v has no metadata", fields["kind"])
	}
	metadata = maps.Clone(metadata)
	metadata["uid"] = hex.EncodeToString(hash[:4]) + "-0000-4000-8000-" + hex.EncodeToString(hash[4:10])
	metadata["resourceVersion"] = fmt.Sprint(1000 + int(hash[0])<<8 + int(hash[1]))
	metadata["creationTimestamp"], metadata["generation"] = born, 1
	fields["metadata"] = metadata
	if status := settled(fields); status != nil {
		fields["status"] = status
	}
	o := &object{hash: hash, labels: labels.Set{}}
	given, _ := metadata["labels"].(map[string]any)
	for key, value := range given {
		o.labels[key], _ = value.(string)
	}
	var err error
	if o.json, err = json.Marshal(fields); err != nil {
		return nil, fmt.Errorf("encode object: %w", err)
	}
	version := metadata["resourceVersion"]
	delete(metadata, "resourceVersion")
	if o.dry, err = json.Marshal(fields); err != nil {
		return nil, fmt.Errorf("encode object: %w", err)
	}
	metadata["resourceVersion"] = version
	o.meta, err = json.Marshal(map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata})
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	o.define = defines(fields)
	return o, nil
}

// Revision is what every member's root Kustomization has applied.
const Revision = "main@sha1:00000000000000000000000000000000000000aa"

// settled is the status of an object with which nothing is under way; nil for a kind that has none.
func settled(fields map[string]any) map[string]any {
	condition := func(typ, reason, message string) map[string]any {
		return map[string]any{"type": typ, "status": "True", "reason": reason, "message": message, "lastTransitionTime": born, "observedGeneration": 1}
	}
	switch fields["kind"] {
	case "Namespace":
		return map[string]any{"phase": "Active"}
	case "CustomResourceDefinition":
		return map[string]any{"conditions": []any{condition("NamesAccepted", "NoConflicts", ""), condition("Established", "InitialNamesAccepted", "")}}
	case "Deployment":
		return map[string]any{
			"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
			"conditions": []any{condition("Available", "MinimumReplicasAvailable", ""), condition("Progressing", "NewReplicaSetAvailable", "")},
		}
	case "GitRepository":
		return map[string]any{
			"observedGeneration": 1, "conditions": []any{condition("Ready", "Succeeded", "stored artifact for revision '"+Revision+"'")},
			"artifact": map[string]any{"revision": Revision, "path": "p", "url": "u", "digest": "sha256:ab", "lastUpdateTime": born},
		}
	case "Kustomization":
		return map[string]any{
			"observedGeneration": 1, "lastAppliedRevision": Revision, "lastAttemptedRevision": Revision,
			"conditions": []any{condition("Ready", "ReconciliationSucceeded", "Applied revision: "+Revision)},
		}
	}
	return nil
}

// defines reads a definition; nil for anything else.
func defines(fields map[string]any) *kind {
	if fields["kind"] != "CustomResourceDefinition" {
		return nil
	}
	var definition struct {
		Spec struct {
			Group, Scope string
			Names        struct{ Plural, Singular, Kind string }
			Versions     []struct {
				Name            string
				Served, Storage bool
			}
		}
	}
	text, err := json.Marshal(fields)
	if err != nil || json.Unmarshal(text, &definition) != nil {
		return nil
	}
	spec := definition.Spec
	for _, version := range spec.Versions {
		if version.Served && version.Storage {
			return &kind{group: spec.Group, version: version.Name, kind: spec.Names.Kind, plural: spec.Names.Plural, singular: spec.Names.Singular,
				namespaced: spec.Scope == "Namespaced"}
		}
	}
	return nil
}
