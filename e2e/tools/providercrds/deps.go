//go:build deps

package main

// The modules whose config/crd folders are rendered.
import (
	_ "sigs.k8s.io/cluster-api-provider-aws/v2/api/v1beta2"
	_ "sigs.k8s.io/cluster-api-provider-azure/api/v1beta1"
	_ "sigs.k8s.io/cluster-api/core/setup"
)
