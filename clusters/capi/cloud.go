package capi

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Cloud says where a cluster runs, from an object of its infrastructure or control plane
// provider. What the object does not say is empty; a provider that Fairway does not know has its
// name made from its kind.
func Cloud(obj *unstructured.Unstructured) fleetv1.Cloud {
	kind := obj.GetKind()
	for _, known := range clouds {
		if strings.HasPrefix(kind, known.prefix) {
			found := known.read(obj)
			found.Provider = known.provider
			return found
		}
	}
	return fleetv1.Cloud{Provider: providerName(kind)}
}

// clouds are the providers whose objects say more than their name.
var clouds = []struct {
	prefix   string // of the kind
	provider string
	read     func(*unstructured.Unstructured) fleetv1.Cloud
}{
	{"AWS", "AWS", aws},
	{"ROSA", "AWS", aws},
	{"AzureASO", "Azure", azureASO},
	{"Azure", "Azure", azure},
	{"GCP", "GCP", gcp},
}

// Suffixes of kinds of providers, the longest first.
var kindSuffixes = []string{"ManagedControlPlane", "ManagedCluster", "ControlPlane", "Cluster"}

// bootstrappers are control plane providers that run in any cloud.
var bootstrappers = []string{"Kubeadm", "RKE2", "KThrees", "K0s", "K0smotron", "Talos", "MicroK8s", "Nested", "Kamaji"}

// providerName is what is left of a kind without its suffix: VSphereCluster is of VSphere. A
// control plane that runs in any cloud says nothing.
func providerName(kind string) string {
	for _, suffix := range kindSuffixes {
		if name, ok := strings.CutSuffix(kind, suffix); ok {
			kind = name
			break
		}
	}
	if slices.Contains(bootstrappers, kind) {
		return ""
	}
	return kind
}

// fill takes from other what found lacks. The provider of the first object that names one wins,
// and an object of another provider adds nothing.
func fill(found, other fleetv1.Cloud) fleetv1.Cloud {
	if found.Provider != "" && other.Provider != found.Provider {
		return found
	}
	return fleetv1.Cloud{
		Provider: cmp.Or(found.Provider, other.Provider),
		Region:   cmp.Or(found.Region, other.Region),
		Account:  cmp.Or(found.Account, other.Account),
	}
}

// arn matches an Amazon resource name; the group is its account.
var arn = regexp.MustCompile(`^arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12}):`)

// aws reads kinds of CAPA. They name no account: it is in the ARNs of what they made.
func aws(obj *unstructured.Unstructured) fleetv1.Cloud {
	var account string
	for _, text := range append([]string{
		text(obj, "status", "identityProviderStatus", "arn"),
		text(obj, "status", "oidcProvider", "arn"),
		text(obj, "status", "networkStatus", "apiServerElb", "arn"),
		text(obj, "spec", "roleArn"),
		text(obj, "spec", "installerRoleARN"),
	}, texts(obj, "arn", "status", "addons")...) {
		if match := arn.FindStringSubmatch(text); match != nil {
			account = match[1]
			break
		}
	}
	return fleetv1.Cloud{Region: text(obj, "spec", "region"), Account: account}
}

func azure(obj *unstructured.Unstructured) fleetv1.Cloud {
	return fleetv1.Cloud{Region: text(obj, "spec", "location"), Account: text(obj, "spec", "subscriptionID")}
}

// subscription matches an Azure resource id; the group is its subscription.
var subscription = regexp.MustCompile(`(?i)^/subscriptions/([0-9a-f-]{36})(/|$)`)

// azureASO reads kinds of CAPZ that carry objects of the Azure Service Operator.
func azureASO(obj *unstructured.Unstructured) fleetv1.Cloud {
	var found fleetv1.Cloud
	for _, resource := range resources(obj) {
		found.Region = cmp.Or(found.Region, text(resource, "spec", "location"))
		for _, id := range []string{
			text(resource, "spec", "owner", "armId"),
			text(resource, "status", "id"),
		} {
			if match := subscription.FindStringSubmatch(id); match != nil {
				found.Account = cmp.Or(found.Account, match[1])
			}
		}
	}
	return found
}

// Azure Service Operator finds the subscription of its objects in a Secret: the one that the
// object's annotation names, or that of its namespace.
const (
	asoCredentialAnnotation = "serviceoperator.azure.com/credential-from"
	asoCredentialDefault    = "aso-credential"
	asoSubscriptionKey      = "AZURE_SUBSCRIPTION_ID"
)

// asoCredential names the Secret with the subscription of obj's resources; "" when obj is not of
// the Azure Service Operator.
func asoCredential(obj *unstructured.Unstructured) string {
	if !strings.HasPrefix(obj.GetKind(), "AzureASO") {
		return ""
	}
	for _, resource := range resources(obj) {
		if name := resource.GetAnnotations()[asoCredentialAnnotation]; name != "" {
			return name
		}
	}
	return asoCredentialDefault
}

func gcp(obj *unstructured.Unstructured) fleetv1.Cloud {
	return fleetv1.Cloud{
		Region:  cmp.Or(text(obj, "spec", "region"), text(obj, "spec", "location")),
		Account: text(obj, "spec", "project"),
	}
}

// resources are the objects in spec.resources.
func resources(obj *unstructured.Unstructured) []*unstructured.Unstructured {
	list, _, err := unstructured.NestedSlice(obj.Object, "spec", "resources")
	if err != nil {
		return nil // not of the shape that is known: it says nothing
	}
	var out []*unstructured.Unstructured
	for _, item := range list {
		if fields, ok := item.(map[string]any); ok {
			out = append(out, &unstructured.Unstructured{Object: fields})
		}
	}
	return out
}

// text is the string at a path, or "" when there is none.
func text(obj *unstructured.Unstructured, path ...string) string {
	value, _, err := unstructured.NestedString(obj.Object, path...)
	if err != nil {
		return ""
	}
	return value
}

// texts are the strings under one key of each object in the list at a path.
func texts(obj *unstructured.Unstructured, key string, path ...string) []string {
	list, _, err := unstructured.NestedSlice(obj.Object, path...)
	if err != nil {
		return nil
	}
	var out []string
	for _, item := range list {
		if fields, ok := item.(map[string]any); ok {
			if value, ok := fields[key].(string); ok {
				out = append(out, value)
			}
		}
	}
	return out
}
