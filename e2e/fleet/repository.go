package fleet

import (
	"fmt"
	"maps"
)

// Team and Service name the one service of the demo; Artifact is what it runs at first.
const (
	Team     = "demo"
	Service  = "podinfo"
	Artifact = "main-e86405a-1f3c"
)

// Files is a set of files of the config repository: path to content.
type Files = map[string]string

// Repository is the config repository for clusters: the platform's one layer, podinfo's artifact,
// and a pointer to it for every cluster.
func Repository(clusters ...string) Files {
	files := Files{
		"README.md": "The config repository of a Fairway demo. Flux on every cluster follows clusters/<id>.\n",
		NotePath:    Note(0),
	}
	maps.Copy(files, ArtifactFiles(Artifact, "--level=info"))
	for _, id := range clusters {
		maps.Copy(files, ClusterFiles(id, Artifact))
	}
	return files
}

// ArtifactFiles are podinfo's manifests as an artifact, run with more arguments.
func ArtifactFiles(artifact string, args ...string) Files {
	list := ""
	for _, arg := range args {
		list += fmt.Sprintf("\n        - %q", arg)
	}
	dir := fmt.Sprintf("releases/%s/%s/%s/", Team, Service, artifact)
	return Files{
		dir + "deployment.yaml": fmt.Sprintf(deploymentManifest, list),
		dir + "service.yaml":    serviceManifest,
	}
}

// ClusterFiles point a cluster at the platform layer and at an artifact.
func ClusterFiles(id, artifact string) Files {
	dir := "clusters/" + id + "/"
	return Files{
		dir + "namespace.yaml": namespaceManifest,
		dir + "platform.yaml":  platformPointer,
		PointerPath(id):        Pointer(artifact),
	}
}

// PointerPath is the file that says which artifact a cluster runs.
func PointerPath(id string) string {
	return fmt.Sprintf("clusters/%s/%s/%s.yaml", id, Team, Service)
}

// Pointer is that file's content.
func Pointer(artifact string) string { return fmt.Sprintf(pointerManifest, artifact) }

// NotePath is a file of the platform's layer that every cluster applies.
const NotePath = "platform/base/note.yaml"

// Note is that file's content, another one for each round.
func Note(round int) string { return fmt.Sprintf(noteManifest, round) }

const noteManifest = `apiVersion: v1
kind: ConfigMap
metadata: {name: note, namespace: demo}
data: {round: "%d"}
`

// The root Kustomization makes the namespace before the pointers, so that podinfo need not wait for a layer: Flux looks
// again for a dependency only every 30 s.
const namespaceManifest = `apiVersion: v1
kind: Namespace
metadata:
  name: demo
`

const platformPointer = `apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: platform
  namespace: flux-system
spec:
  interval: 10m
  retryInterval: 10s
  path: ./platform/base
  prune: true
  wait: true
  timeout: 2m
  sourceRef: {kind: GitRepository, name: fairway}
`

const pointerManifest = `apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: demo-podinfo
  namespace: flux-system
spec:
  interval: 10m
  retryInterval: 10s
  timeout: 1m
  path: ./releases/demo/podinfo/%[1]s
  targetNamespace: demo
  prune: true
  wait: true
  sourceRef: {kind: GitRepository, name: fairway}
  commonMetadata:
    labels:
      fleet.fairway.dev/team: demo
      fleet.fairway.dev/service: podinfo
      fleet.fairway.dev/artifact: %[1]s
  postBuild:
    substituteFrom: [{kind: ConfigMap, name: fairway-cluster-values}]
`

const deploymentManifest = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: podinfo
spec:
  replicas: 2
  selector: {matchLabels: {app: podinfo}}
  template:
    metadata:
      labels: {app: podinfo}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 65532}
      containers:
      - name: podinfo
        image: ghcr.io/stefanprodan/podinfo:6.9.2
        args:
        - --port=9898
        - --ui-message=${CLUSTER_NAME} (${CLUSTER_CLOUD}, ${CLUSTER_REGION})%s
        ports: [{name: http, containerPort: 9898}]
        readinessProbe:
          httpGet: {path: /readyz, port: http}
          periodSeconds: 2
        resources:
          requests: {cpu: 10m, memory: 32Mi}
`

const serviceManifest = `apiVersion: v1
kind: Service
metadata:
  name: podinfo
spec:
  selector: {app: podinfo}
  ports: [{name: http, port: 80, targetPort: http}]
`
