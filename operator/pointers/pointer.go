package pointers

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Pointer says which artifact of a service a cluster runs.
type Pointer struct {
	Cluster, Team, Service string
	Artifact               string
	Release                string // that put it there, "<namespace>/<name>"; may be empty
	Digest                 string // of the artifact, "sha256:…"; may be empty
}

// How Flux works on a service. Fairway's Flux takes a new pointer at once; a Flux of the cluster's own may wait until the health
// check of the one before has ended (its feature gate CancelHealthCheckOnNewRevision is off by default), and then what never gets
// healthy holds up its own rollback for as long as the timeout. A check that ran out of it is made again.
const (
	interval      = 10 * time.Minute
	retryInterval = 30 * time.Second
	timeout       = 2 * time.Minute
)

const header = "# Written by Fairway"

// file is a pointer's, with names in braces to be filled in. What changes from one release to the next is on neighbouring
// lines, each of them once: the labels of the pointer are those of its objects.
const file = header + `: what {cluster} runs of {team}/{service}. Releases move it. What is edited here by hand is
# reported and left alone; the seal tells.
apiVersion: {apiVersion}
kind: {kind}
metadata:
  name: {name}
  namespace: {fluxNamespace}
  labels: &labels
    {labelTeam}: {team}
    {labelService}: {service}
    {labelArtifact}: {artifact}
{annotations}spec:
  path: ./{folder}
  interval: {interval}
  retryInterval: {retryInterval}
  timeout: {timeout}
  prune: true
  wait: true
  force: false
  sourceRef:
    kind: {sourceKind}
    name: {source}
  targetNamespace: {team}
  serviceAccountName: {account}
  commonMetadata:
    labels: *labels
  postBuild:
    substituteFrom:
    - kind: ConfigMap
      name: {values}
`

// Account is the service account, in Flux's namespace of every cluster, that a team's services are applied with.
func Account(team string) string { return "fairway-team-" + team }

// Render is the file of a pointer whose names are checked. The same pointer gives the same bytes.
func Render(p Pointer) []byte {
	body := strings.NewReplacer(
		"{apiVersion}", kustomizev1.GroupVersion.String(), "{kind}", kustomizev1.KustomizationKind,
		"{name}", scalar(Name(p.Team, p.Service)), "{fluxNamespace}", fleetv1.FluxNamespace,
		"{labelTeam}", fleetv1.LabelTeam, "{labelService}", fleetv1.LabelService, "{labelArtifact}", fleetv1.LabelArtifact,
		"{cluster}", p.Cluster, "{team}", scalar(p.Team), "{service}", scalar(p.Service), "{artifact}", scalar(p.Artifact),
		"{annotations}", p.annotations(), "{folder}", ArtifactFolder(p.Team, p.Service, p.Artifact),
		"{interval}", interval.String(), "{retryInterval}", retryInterval.String(), "{timeout}", timeout.String(),
		"{sourceKind}", sourcev1.GitRepositoryKind, "{source}", fleetv1.RootName,
		"{account}", Account(p.Team), "{values}", fleetv1.ValuesName,
	).Replace(file)
	return p.seal(body)
}

func (p Pointer) annotations() string {
	var out strings.Builder
	for _, each := range [][2]string{{fleetv1.AnnotationDigest, p.Digest}, {fleetv1.AnnotationRelease, p.Release}} {
		if each[1] != "" {
			fmt.Fprintf(&out, "    %s: %s\n", each[0], each[1])
		}
	}
	if out.Len() == 0 {
		return ""
	}
	return "  annotations:\n" + out.String()
}

// check says whether all names of a pointer can be used, on some clusters.
func (p Pointer) check(clusters ...string) error {
	errs := []error{CheckService(p.Team, p.Service), check("artifact", artifact, p.Artifact)}
	for _, cluster := range clusters {
		errs = append(errs, check("cluster", label, cluster))
	}
	if p.Release != "" {
		errs = append(errs, check("release", release, p.Release))
	}
	if p.Digest != "" {
		errs = append(errs, check("digest", digest, p.Digest))
	}
	return errors.Join(errs...)
}

// words are names that YAML, in one of its versions, takes for something else than text. So it does with what begins
// like a number.
var words = []string{"null", "true", "false", "yes", "no", "on", "off", "y", "n"}

// scalar is a name as YAML reads it as text.
func scalar(name string) string {
	if slices.Contains(words, name) || name != "" && name[0] >= '0' && name[0] <= '9' {
		return `"` + name + `"`
	}
	return name
}

// The seal is on the line of the path, which changes with every artifact. It is a sum of the file without it, and of where
// the file is: a copy in another cluster's folder is no pointer of that cluster.
const (
	pathMark = "\n  path: "
	sealMark = " # seal: "
)

func (p Pointer) sum(body string) string {
	all := sha256.Sum256([]byte(PointerPath(p.Cluster, p.Team, p.Service) + "\n" + body))
	return fmt.Sprintf("%x", all[:8])
}

func (p Pointer) seal(body string) []byte {
	before, after, _ := strings.Cut(body, pathMark)
	path, after, _ := strings.Cut(after, "\n")
	return []byte(before + pathMark + path + sealMark + p.sum(body) + "\n" + after)
}

// unbroken says whether a file is as it was sealed, by this version of Fairway or an earlier one.
func (p Pointer) unbroken(content string) bool {
	before, after, found := strings.Cut(content, sealMark)
	seal, after, ended := strings.Cut(after, "\n")
	return found && ended && seal == p.sum(before+"\n"+after)
}
