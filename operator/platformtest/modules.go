//go:build modules

package platformtest

// The suites take Cluster API's CRDs from its module; this keeps the module in go.mod. It is never compiled.
import _ "sigs.k8s.io/cluster-api/version"
