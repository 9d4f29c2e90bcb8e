package workloadcluster

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// showsExpiries gives a cluster what its passes would.
func showsExpiries(t *testing.T, s *suite) {
	obj := s.adopt(t, "", "ending", nil)
	defer remove(t, s.platform.Client, obj)
	obj.Status.Access.Expires = &metav1.Time{Time: time.Unix(1_800_000_000, 0)}
	obj.Status.Agent.CredentialsExpire = &metav1.Time{Time: time.Unix(1_900_000_000, 0)}
	if err := s.platform.Client.Status().Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	want := `# HELP fairway_cluster_credentials_expiry_timestamp_seconds When a cluster's credentials end: of the operator on the cluster (cluster), of the agent on the event bus (events)
# TYPE fairway_cluster_credentials_expiry_timestamp_seconds gauge
fairway_cluster_credentials_expiry_timestamp_seconds{cluster="ending",credentials="cluster"} 1.8e+09
fairway_cluster_credentials_expiry_timestamp_seconds{cluster="ending",credentials="events"} 1.9e+09
`
	if err := testutil.CollectAndCompare(Expiries{s.platform.Client}, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	var none fleetv1.WorkloadClusterStatus
	obj.Status = none
	if err := s.platform.Client.Status().Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	if n := testutil.CollectAndCount(Expiries{s.platform.Client}); n != 0 {
		t.Errorf("%d series of a cluster that says nothing", n)
	}
}
