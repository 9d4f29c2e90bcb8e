package platformtest

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// awsKinds are the kinds that an EKS cluster refers to, without their schemas.
func awsKinds() []*apiextensionsv1.CustomResourceDefinition {
	return []*apiextensionsv1.CustomResourceDefinition{
		Kind("infrastructure.cluster.x-k8s.io", "v1beta2", "AWSManagedCluster"),
		Kind("controlplane.cluster.x-k8s.io", "v1beta2", "AWSManagedControlPlane"),
	}
}

// Kind defines a namespaced kind with a status and no schema.
func Kind(group, version, kind string) *apiextensionsv1.CustomResourceDefinition {
	plural := strings.ToLower(kind) + "s"
	if strings.HasSuffix(kind, "y") {
		plural = strings.ToLower(strings.TrimSuffix(kind, "y")) + "ies"
	}
	anything := true
	return &apiextensionsv1.CustomResourceDefinition{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"},
		ObjectMeta: metav1.ObjectMeta{Name: plural + "." + group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: group,
			Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{
				Plural: plural, Singular: strings.ToLower(kind), Kind: kind, ListKind: kind + "List",
			},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: version, Served: true, Storage: true,
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: &anything,
				}},
			}},
		},
	}
}

// ClusterProfile defines the Cluster Inventory API's kind with the rules of its fields that a writer can break. The API's
// own definition comes in no module that this one requires.
func ClusterProfile() *apiextensionsv1.CustomResourceDefinition {
	type props = map[string]apiextensionsv1.JSONSchemaProps
	text := func(least, most int64) apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Type: "string", MinLength: &least, MaxLength: &most}
	}
	listOf := func(required []string, fields props) apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{
			Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", Required: required, Properties: fields},
		}}
	}
	object := func(required []string, fields props) apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Type: "object", Required: required, Properties: fields}
	}
	reason, status, time := text(1, 1024), text(0, 7), text(0, 64)
	reason.Pattern = `^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`
	status.Enum = []apiextensionsv1.JSON{{Raw: []byte(`"True"`)}, {Raw: []byte(`"False"`)}, {Raw: []byte(`"Unknown"`)}}
	time.Format = "date-time"
	manager := object([]string{"name"}, props{"name": text(0, 253)})
	manager.XValidations = apiextensionsv1.ValidationRules{{Rule: "self == oldSelf", Message: "ClusterManager is immutable"}}
	schema := object([]string{"spec"}, props{
		"spec": object([]string{"clusterManager"}, props{"displayName": text(0, 253), "clusterManager": manager}),
		"status": object(nil, props{
			"version":    object(nil, props{"kubernetes": text(0, 253)}),
			"properties": listOf([]string{"name", "value"}, props{"name": text(1, 253), "value": text(1, 1024), "lastObservedTime": time}),
			"conditions": listOf([]string{"lastTransitionTime", "message", "reason", "status", "type"}, props{
				"type": text(1, 316), "status": status, "reason": reason, "message": text(0, 32768), "lastTransitionTime": time,
			}),
		}),
	})
	crd := Kind("multicluster.x-k8s.io", "v1alpha1", "ClusterProfile")
	crd.Annotations = map[string]string{"api-approved.kubernetes.io": "https://github.com/kubernetes/enhancements/tree/master/keps/sig-multicluster/4322-cluster-inventory"}
	crd.Spec.Versions[0].Schema.OpenAPIV3Schema = &schema
	return crd
}

// Install installs definitions and waits until they are served.
func (c *Cluster) Install(t *testing.T, definitions ...*apiextensionsv1.CustomResourceDefinition) {
	t.Helper()
	if _, err := envtest.InstallCRDs(c.Config, envtest.CRDInstallOptions{CRDs: definitions}); err != nil {
		t.Fatal(err)
	}
}
