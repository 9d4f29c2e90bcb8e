package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/fairway-dev/fairway/fleet/client"
)

// Files that say which service a folder is, in the order they are looked for.
const (
	fairwayFile = "fairway.yaml"
	shuttleFile = "shuttle.yaml"
)

// errNoServiceFile: no file says which service a folder is.
var errNoServiceFile = errors.New("there is no " + fairwayFile + " or " + shuttleFile)

// findService is the service that is given as <team>/<name>; or else that of fairway.yaml or shuttle.yaml in a folder, or in
// the nearest one above it that has one. A shuttle.yaml without vars.service is passed over.
func findService(dir, given string) (team, service string, err error) {
	if given != "" {
		return splitService("use service "+given, given)
	}
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", "", fmt.Errorf("find the service: %w", err)
	}
	for {
		found, file, err := serviceOf(at)
		if err != nil {
			return "", "", &client.Error{Op: "find the service", Err: err, Fix: "name it: <team>/<service>"}
		}
		if found != "" {
			return splitService("read the service in "+file, found)
		}
		above := filepath.Dir(at)
		if above == at {
			return "", "", &client.Error{Op: "find the service", Err: fmt.Errorf("%w in %s or above it", errNoServiceFile, dir),
				Fix: "name it: <team>/<service>; or write it into " + fairwayFile + ", service: <team>/<service>"}
		}
		at = above
	}
}

func splitService(op, text string) (team, service string, err error) {
	team, service, _ = strings.Cut(text, "/")
	for _, name := range []string{team, service} {
		if len(validation.IsDNS1123Label(name)) > 0 {
			return "", "", &client.Error{Op: op, Err: fmt.Errorf("%q is not <team>/<service>, of lower-case letters, digits and dashes", text),
				Fix: "name it so: payments/ledger"}
		}
	}
	return team, service, nil
}

// serviceOf is the service that a folder's own files name, as <team>/<name>, and which file; empty: none does.
func serviceOf(dir string) (service, file string, err error) {
	var fairway struct {
		Service string `json:"service"`
	}
	file = filepath.Join(dir, fairwayFile)
	if there, err := readYAML(file, &fairway); err != nil || there {
		if err == nil && fairway.Service == "" {
			err = fmt.Errorf("%s has no service", file)
		}
		return fairway.Service, file, err
	}
	var shuttle struct {
		Vars struct {
			Service   string `json:"service"`
			Squad     string `json:"squad"`
			Namespace string `json:"namespace"`
			K8s       struct {
				Namespace string `json:"namespace"`
			} `json:"k8s"`
		} `json:"vars"`
	}
	file = filepath.Join(dir, shuttleFile)
	if there, err := readYAML(file, &shuttle); err != nil || !there || shuttle.Vars.Service == "" {
		return "", file, err
	}
	vars := shuttle.Vars
	for _, team := range []string{vars.Squad, vars.Namespace, vars.K8s.Namespace} {
		if team != "" {
			return team + "/" + vars.Service, file, nil
		}
	}
	return "", file, fmt.Errorf("%s has vars.service and says no team: vars.squad or vars.namespace", file)
}

// readYAML reads a file, if it is there.
func readYAML(name string, into any) (bool, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", name, err)
	}
	return true, nil
}
