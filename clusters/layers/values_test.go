package layers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

func TestValues(t *testing.T) {
	obj := &fleetv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Name: "prod-1"}}
	obj.Spec.Environment = "prod"
	obj.Spec.Values = map[string]fleetv1.ValueText{"DOMAIN": "eu1.example.com", "CLUSTER_NAME": "forged"}
	want := map[string]string{
		"CLUSTER_NAME": "prod-1", "CLUSTER_ENVIRONMENT": "prod", "CLUSTER_CLOUD": "AWS", "CLUSTER_REGION": "", "CLUSTER_ACCOUNT": "", "DOMAIN": "eu1.example.com",
	}
	if diff := cmp.Diff(want, Values(obj, fleetv1.Cloud{Provider: "AWS"})); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}
