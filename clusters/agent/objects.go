package agent

import (
	"encoding/base64"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// object makes one of the agent's objects, with the labels that all of them carry.
func object(apiVersion, kind, namespace, name string, labels map[string]any, body map[string]any) *unstructured.Unstructured {
	all := map[string]any{
		"app.kubernetes.io/name":      Name,
		"app.kubernetes.io/component": "agent",
		"app.kubernetes.io/part-of":   "fairway",
	}
	maps.Copy(all, labels)
	metadata := map[string]any{"name": name, "labels": all}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	content := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": metadata}
	maps.Copy(content, body)
	return &unstructured.Unstructured{Object: content}
}

func base64Text(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

// clusterRole lets the agent read what it reports: never Secrets, never ConfigMaps, never a write.
func clusterRole() *unstructured.Unstructured {
	return object("rbac.authorization.k8s.io/v1", "ClusterRole", "", Name, nil, map[string]any{"rules": Rules()})
}

// Rules are those of the agent's ClusterRole, as they stand in it. Who gives them has to have them.
func Rules() []any {
	watch := list("get", "list", "watch")
	rule := func(group string, verbs []any, resources ...string) any {
		return map[string]any{"apiGroups": list(group), "resources": list(resources...), "verbs": verbs}
	}
	return []any{
		rule("", watch, "nodes", "pods"),
		rule("", list("get"), "pods/log"),
		rule("apps", watch, "daemonsets", "deployments", "statefulsets"),
		rule("batch", watch, "jobs"),
		rule("kustomize.toolkit.fluxcd.io", watch, "kustomizations"),
		rule("helm.toolkit.fluxcd.io", watch, "helmreleases"),
		rule("source.toolkit.fluxcd.io", watch, "buckets", "gitrepositories", "helmcharts", "helmrepositories", "ocirepositories"),
	}
}

func clusterRoleBinding() *unstructured.Unstructured {
	return object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "", Name, nil, map[string]any{
		"roleRef": map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": Name},
		"subjects": []any{
			map[string]any{"kind": "ServiceAccount", "name": Name, "namespace": fleetv1.SystemNamespace},
		},
	})
}

// deployment runs one agent: two would publish the same events under two epochs.
func (c Config) deployment() *unstructured.Unstructured {
	selector := map[string]any{"app.kubernetes.io/name": Name}
	return object("apps/v1", "Deployment", fleetv1.SystemNamespace, Name, nil, map[string]any{
		"spec": map[string]any{
			"replicas":             int64(1),
			"revisionHistoryLimit": int64(2),
			"strategy":             map[string]any{"type": "Recreate"},
			"selector":             map[string]any{"matchLabels": selector},
			"template": map[string]any{
				"metadata": map[string]any{
					"labels":      map[string]any{"app.kubernetes.io/name": Name, "app.kubernetes.io/component": "agent", "app.kubernetes.io/part-of": "fairway"},
					"annotations": map[string]any{AnnotationConfig: c.configHash()},
				},
				"spec": c.podSpec(),
			},
		},
	})
}

func (c Config) podSpec() map[string]any {
	return map[string]any{
		"serviceAccountName":            Name,
		"terminationGracePeriodSeconds": int64(15),
		"nodeSelector":                  map[string]any{"kubernetes.io/os": "linux"},
		"securityContext": map[string]any{
			"runAsNonRoot":   true,
			"runAsUser":      int64(65532),
			"runAsGroup":     int64(65532),
			"fsGroup":        int64(65532),
			"seccompProfile": map[string]any{"type": "RuntimeDefault"},
		},
		"containers": []any{c.container()},
		"volumes": []any{
			map[string]any{"name": "credentials", "secret": map[string]any{"secretName": Name, "defaultMode": int64(0o440)}},
			// Outlives the container, not the pod: then the agent begins a new epoch with a snapshot. Room
			// for an outbox at its largest, and one that was moved aside.
			map[string]any{"name": "outbox", "emptyDir": map[string]any{"sizeLimit": "512Mi"}},
		},
	}
}

func (c Config) container() map[string]any {
	return map[string]any{
		"name":  "agent",
		"image": c.Image,
		"args":  list(c.args()...),
		// So that the operator can say why an agent died, in the agent's own last words.
		"terminationMessagePolicy": "FallbackToLogsOnError",
		"ports":                    []any{map[string]any{"name": "health", "containerPort": int64(8081), "protocol": "TCP"}},
		"securityContext": map[string]any{
			"allowPrivilegeEscalation": false,
			"readOnlyRootFilesystem":   true,
			"capabilities":             map[string]any{"drop": list("ALL")},
		},
		"livenessProbe":  probe("/healthz", 10),
		"readinessProbe": probe("/readyz", 5),
		"resources": map[string]any{
			"requests": map[string]any{"cpu": "20m", "memory": "64Mi"},
			"limits":   map[string]any{"memory": "256Mi"},
		},
		"volumeMounts": []any{
			map[string]any{"name": "credentials", "mountPath": secretDir, "readOnly": true},
			map[string]any{"name": "outbox", "mountPath": outboxDir},
		},
	}
}

func probe(path string, period int64) map[string]any {
	return map[string]any{
		"httpGet":          map[string]any{"path": path, "port": int64(8081)},
		"periodSeconds":    period,
		"timeoutSeconds":   int64(5),
		"failureThreshold": int64(3),
	}
}

func list(texts ...string) []any {
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = text
	}
	return out
}
