package pointers

import (
	"errors"
	"fmt"
	"regexp"
)

// Errors of this package. The text of what wraps them names the path or the name.
var (
	// ErrName: a team, service, artifact, cluster, release or digest that cannot be one.
	ErrName = errors.New("not a name that can be used")
	// ErrEdited: a pointer was edited by hand, or is not Fairway's.
	ErrEdited = errors.New("the pointer is not as Fairway wrote it")
	// ErrChanged: the repository has the artifact's folder with other content.
	ErrChanged = errors.New("the artifact's folder is not what the artifact has")
	// ErrNoFiles: the repository lacks the artifact's folder, and its files are not given.
	ErrNoFiles = errors.New("the artifact's files are needed")
	// ErrPath: an artifact has a file that is outside of it, or nothing at all.
	ErrPath = errors.New("not the files of an artifact")
)

// maxName is the length of a name that Flux puts into a label.
const maxName = 63

var (
	label    = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	artifact = regexp.MustCompile(`^[a-z0-9]([-a-z0-9_.]{0,61}[a-z0-9])?$`)
	release  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)
	digest   = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// ArtifactFolder is where an artifact's files are.
func ArtifactFolder(team, service, id string) string {
	return artifactsFolder(team, service) + "/" + id
}

func artifactsFolder(team, service string) string { return "releases/" + team + "/" + service }

const clustersFolder = "clusters"

// PointerPath is the file that says which artifact of a service a cluster runs.
func PointerPath(cluster, team, service string) string {
	return clustersFolder + "/" + cluster + "/" + pointerFile(team, service)
}

// pointerFile is a pointer's path in its cluster's folder.
func pointerFile(team, service string) string { return team + "/" + service + extension }

const (
	extension = ".yaml"
	// kustomization cannot be a service: kustomize would take its pointer for a file of its own.
	kustomization = "kustomization"
)

// Name is that of a pointer's Kustomization.
func Name(team, service string) string { return team + "." + service }

// CheckService says whether a service can be released: its names are labels, and short enough together for Name.
func CheckService(team, service string) error {
	if !label.MatchString(team) || !label.MatchString(service) {
		return fmt.Errorf("%w: service %.200q of team %.200q: lower-case letters, digits and dashes, at most 63", ErrName, service, team)
	}
	if service == kustomization {
		return fmt.Errorf("%w: service %q: kustomize has a meaning for %s", ErrName, service, pointerFile(team, service))
	}
	if n := len(Name(team, service)); n > maxName {
		return fmt.Errorf("%w: %s has %d letters, and %d are possible: the team's and the service's name together 62", ErrName, Name(team, service), n, maxName)
	}
	return nil
}

func check(what string, is *regexp.Regexp, name string) error {
	if !is.MatchString(name) {
		return fmt.Errorf("%w: %s %.200q", ErrName, what, name)
	}
	return nil
}
