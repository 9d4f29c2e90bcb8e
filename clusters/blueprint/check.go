package blueprint

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Mistake is a setting of a Cluster that cannot be used.
type Mistake struct {
	Setting string // "region"
	Problem string // what is wrong with it
	Fix     string // what to do about it
}

// Error says what is wrong with what.
func (m *Mistake) Error() string { return m.Setting + ": " + m.Problem }

// idLimit is the length of a cluster's id, in characters: it is a label of Kubernetes and a token of a subject.
const idLimit = 63

// form is a form of names, and a name that has it.
type form struct {
	pattern *regexp.Regexp
	example string
}

var (
	labelForm      = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	kubernetesForm = regexp.MustCompile(`^v?1\.(0|[1-9][0-9]{0,2})(\.(?:0|[1-9][0-9]{0,2}))?$`)
)

// check finds the cloud, and the first mistake.
func (c Cluster) check() (cloud, *Mistake) {
	of, known := find(c.Cloud)
	if !known {
		return cloud{}, &Mistake{Setting: "cloud", Problem: fmt.Sprintf("%q is none that clusters can be ordered from", c.Cloud),
			Fix: "use " + strings.Join(Clouds(), " or ") + "; a Cluster of any other Cluster API provider joins by its labels"}
	}
	for _, check := range []func(cloud) *Mistake{c.checkName, c.checkPlaces, c.checkKubernetes, c.checkNodes, c.checkLabels} {
		if mistake := check(of); mistake != nil {
			return cloud{}, mistake
		}
	}
	return of, nil
}

func (c Cluster) checkName(of cloud) *Mistake {
	if mistake := label("name", c.Name, "prod-"+of.provider+"-1"); mistake != nil {
		return mistake
	}
	if long := len(c.Name); long > of.nameLimit {
		return &Mistake{Setting: "name", Problem: fmt.Sprintf("%q has %d characters", c.Name, long),
			Fix: fmt.Sprintf("use at most %d on %s: %s", of.nameLimit, of.name, of.nameReason)}
	}
	return nil
}

func (c Cluster) checkPlaces(of cloud) *Mistake {
	for _, each := range []struct{ setting, name, example string }{
		{"namespace", c.Namespace, "clusters"}, {"environment", c.Environment, "prod"},
	} {
		if mistake := label(each.setting, each.name, each.example); mistake != nil {
			return mistake
		}
		if len(each.name) > idLimit {
			return &Mistake{Setting: each.setting, Problem: fmt.Sprintf("%q has %d characters", each.name, len(each.name)), Fix: fmt.Sprintf("use at most %d", idLimit)}
		}
	}
	if c.Identity != "" && len(validation.IsDNS1123Subdomain(c.Identity)) > 0 {
		return &Mistake{Setting: "identity", Problem: fmt.Sprintf("%q is no name of a Kubernetes object", c.Identity),
			Fix: "name an AWSClusterRoleIdentity, or a Secret with credentials of the Azure Service Operator"}
	}
	return of.regionOf(c.Region)
}

// label refuses what is no DNS label, but for its length.
func label(setting, name, example string) *Mistake {
	if labelForm.MatchString(name) {
		return nil
	}
	problem := fmt.Sprintf("%q is not of lower-case letters, digits and dashes within", name)
	if name == "" {
		problem = "it is missing"
	}
	return &Mistake{Setting: setting, Problem: problem, Fix: "name one such as " + example}
}

func (c Cluster) checkKubernetes(of cloud) *Mistake {
	match := kubernetesForm.FindStringSubmatch(c.Kubernetes)
	if match == nil {
		return &Mistake{Setting: "kubernetes", Problem: fmt.Sprintf("%q is no version of Kubernetes", c.Kubernetes), Fix: "name one such as 1.36"}
	}
	if match[2] != "" && !of.patches {
		return &Mistake{Setting: "kubernetes", Problem: fmt.Sprintf("%s chooses the patch version by itself", of.name), Fix: "use 1." + match[1]}
	}
	return nil
}

func (c Cluster) checkNodes(of cloud) *Mistake {
	if c.Nodes < 1 || c.Nodes > of.nodeLimit {
		return &Mistake{Setting: "nodes", Problem: fmt.Sprintf("%d cannot be had", c.Nodes),
			Fix: fmt.Sprintf("use 1 to %d on %s; more pools can be added to the manifests", of.nodeLimit, of.name)}
	}
	if c.MachineType != "" && !of.machineForm.pattern.MatchString(c.MachineType) {
		return &Mistake{Setting: "machine-type", Problem: fmt.Sprintf("%q is no machine type of %s", c.MachineType, of.name), Fix: "name one such as " + of.machineForm.example}
	}
	return nil
}

func (c Cluster) checkLabels(cloud) *Mistake {
	for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
		problems := slices.Concat(validation.IsQualifiedName(key), validation.IsValidLabelValue(c.Labels[key]))
		if len(problems) > 0 {
			return &Mistake{Setting: "label", Problem: fmt.Sprintf("%s=%s: %s", key, c.Labels[key], problems[0]), Fix: "use key=value, as Kubernetes has them"}
		}
	}
	return nil
}
