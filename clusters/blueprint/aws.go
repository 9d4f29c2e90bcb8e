package blueprint

import (
	"fmt"
	"regexp"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

var aws = cloud{
	name: "AWS", provider: "aws",
	// EKS itself takes 100 characters.
	nameLimit: idLimit, nameReason: "it is the cluster's id in the fleet",
	regionOf: awsRegion,
	machines: "m7i.large", machineForm: form{regexp.MustCompile(`^[a-z][a-z0-9-]*\.[a-z0-9-]+$`), "m7i.large"},
	nodeLimit: 450, // of a managed node group: the service's quota
	objects:   eks,
}

var (
	awsCluster      = schema.GroupVersionKind{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta2", Kind: "AWSManagedCluster"}
	awsControlPlane = schema.GroupVersionKind{Group: "controlplane.cluster.x-k8s.io", Version: "v1beta2", Kind: "AWSManagedControlPlane"}
	awsPool         = schema.GroupVersionKind{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta2", Kind: "AWSManagedMachinePool"}
)

// Forms of names of places in AWS: eu-west-1, us-gov-east-1, eusc-de-east-1; a zone has a letter more.
var (
	awsRegionForm = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}$`)
	awsZoneForm   = regexp.MustCompile(`^([a-z]{2,4}(?:-[a-z]+){1,2}-[0-9]{1,2})[a-z]$`)
)

func awsRegion(region string) *Mistake {
	if awsRegionForm.MatchString(region) {
		return nil
	}
	mistake := &Mistake{Setting: "region", Problem: fmt.Sprintf("%q is no region of AWS", region), Fix: "name one such as eu-west-1"}
	if zone := awsZoneForm.FindStringSubmatch(region); zone != nil {
		mistake.Problem, mistake.Fix = fmt.Sprintf("%q is one zone of a region", region), "use "+zone[1]+"; nodes are spread over its zones"
	}
	return mistake
}

// graviton matches machine types with ARM processors: a1, m7g, c7gn, im4gn, is4gen; not g5 or g4dn.
var graviton = regexp.MustCompile(`^(a1|[a-z]+[0-9]+g[a-z]*)\.`)

func eks(c Cluster) parts {
	controlPlane := map[string]any{
		"eksClusterName": c.Name,
		"region":         c.Region,
		"version":        "v" + c.Kubernetes,
		// For service accounts with roles; the provider's ARN is also where Fairway finds the account.
		"associateOIDCProvider": true,
	}
	if c.Identity != "" {
		controlPlane["identityRef"] = map[string]any{"kind": "AWSClusterRoleIdentity", "name": c.Identity}
	}
	image := "AL2023_x86_64_STANDARD"
	if graviton.MatchString(c.MachineType) {
		image = "AL2023_ARM_64_STANDARD"
	}
	return parts{
		infrastructure: c.object(awsCluster, c.Name, map[string]any{}),
		controlPlane:   c.object(awsControlPlane, c.Name, controlPlane),
		pool: c.object(awsPool, c.poolName(), map[string]any{
			"eksNodegroupName": pool,
			"amiType":          image,
			"instanceType":     c.MachineType,
			// Without it EKS takes its own maximum, 2, and refuses to start more.
			"scaling": map[string]any{"minSize": int64(c.Nodes), "maxSize": int64(c.Nodes)},
		}),
		// Cluster API wants a whole version; its AWS provider drops the patch again.
		poolVersion: "v" + c.Kubernetes + ".0",
	}
}
