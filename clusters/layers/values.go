package layers

import (
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Values are the substitution variables of a cluster. Fairway's own are always there, if empty: Flux
// refuses manifests that use one that is not.
func Values(obj *fleetv1.WorkloadCluster, cloud fleetv1.Cloud) map[string]string {
	out := map[string]string{
		fleetv1.ValueName:        obj.ID(),
		fleetv1.ValueEnvironment: obj.Spec.Environment,
		fleetv1.ValueCloud:       cloud.Provider,
		fleetv1.ValueRegion:      cloud.Region,
		fleetv1.ValueAccount:     cloud.Account,
	}
	for name, value := range obj.Spec.Values {
		if _, own := out[name]; !own {
			out[name] = string(value)
		}
	}
	return out
}
