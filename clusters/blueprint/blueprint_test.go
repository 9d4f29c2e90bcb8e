package blueprint

import (
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/capi"
)

var update = flag.Bool("update", false, "write golden files")

// wanted is a cluster of each cloud.
func wanted(cloud string) Cluster {
	c := Cluster{Name: "prod-aws-eu2", Namespace: "clusters", Cloud: "aws", Region: "eu-west-1", Environment: "prod", Kubernetes: "1.36", Nodes: 3}
	if cloud == "azure" {
		c.Name, c.Cloud, c.Region = "prod-azure-eu2", "azure", "westeurope"
	}
	return c
}

func with(cloud string, edit func(*Cluster)) Cluster {
	c := wanted(cloud)
	edit(&c)
	return c
}

func render(t *testing.T, c Cluster) string {
	t.Helper()
	objs, err := c.Objects()
	if err != nil {
		t.Fatal(err)
	}
	var documents []string
	for _, obj := range objs {
		text, err := yaml.Marshal(obj.Object)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, string(text))
	}
	return strings.Join(documents, "---\n")
}

func TestEachCloudsObjects(t *testing.T) {
	for name, c := range map[string]Cluster{
		"eks.yaml": wanted("aws"),
		"aks.yaml": wanted("azure"),
		"eks-all.yaml": with("aws", func(c *Cluster) {
			c.Cloud, c.Kubernetes, c.MachineType, c.Identity, c.Nodes = "AWS", "v1.35", "m7g.xlarge", "account-123456789012", 1
			c.Labels = map[string]string{"example.com/tier": "gold", fleetv1.LabelRegister: "later"}
		}),
		"aks-all.yaml": with("azure", func(c *Cluster) {
			c.Kubernetes, c.MachineType, c.Identity = "v1.35.2", "Standard_D4ps_v6", "aso-credentials"
		}),
	} {
		t.Run(name, func(t *testing.T) {
			path, got := filepath.Join("testdata", name), render(t, c)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got; go test ./clusters/blueprint -update writes it):\n%s", path, diff)
			}
		})
	}
}

func TestFairwayFindsWhereItRenderedItTo(t *testing.T) {
	for cloud, want := range map[string]fleetv1.Cloud{
		"aws": {Provider: "AWS", Region: "eu-west-1"}, "azure": {Provider: "Azure", Region: "westeurope"},
	} {
		objs, err := wanted(cloud).Objects()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, capi.Cloud(objs[2])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", cloud, diff)
		}
	}
}

func TestArmMachinesGetAnArmImage(t *testing.T) {
	for machine, arm := range map[string]bool{
		"": false, "m7i.large": false, "m7i-flex.large": false, "g4dn.xlarge": false, "g6.xlarge": false,
		"a1.large": true, "m7g.large": true, "c7gn.xlarge": true, "im4gn.large": true, "is4gen.large": true, "x2gd.metal": true,
	} {
		text := render(t, with("aws", func(c *Cluster) { c.MachineType = machine }))
		if got := strings.Contains(text, "AL2023_ARM_64_STANDARD"); got != arm || got == strings.Contains(text, "AL2023_x86_64_STANDARD") {
			t.Errorf("%q gets an ARM image: %v, want %v", machine, got, arm)
		}
	}
}

func TestWhatCannotBeOrderedIsRefusedWithAFix(t *testing.T) {
	aws := func(edit func(*Cluster)) Cluster { return with("aws", edit) }
	azure := func(edit func(*Cluster)) Cluster { return with("azure", edit) }
	long := strings.Repeat("n", 64)
	for _, c := range []struct {
		name    string
		cluster Cluster
		setting string
		problem string
		fix     string
	}{
		{"another cloud", aws(func(c *Cluster) { c.Cloud = "gcp" }), "cloud", `"gcp" is none`, "use aws or azure"},
		{"no cloud", aws(func(c *Cluster) { c.Cloud = "" }), "cloud", `"" is none`, "use aws or azure"},
		{"no name", aws(func(c *Cluster) { c.Name = "" }), "name", "it is missing", "prod-aws-1"},
		{"a name in capitals", aws(func(c *Cluster) { c.Name = "Prod" }), "name", `"Prod" is not of lower-case letters`, "prod-aws-1"},
		{"a name that ends in a dash", azure(func(c *Cluster) { c.Name = "prod-" }), "name", `"prod-" is not`, "prod-azure-1"},
		{"a name with a dot", aws(func(c *Cluster) { c.Name = "prod.eu" }), "name", `"prod.eu" is not`, "prod-aws-1"},
		{"a name too long for the fleet", aws(func(c *Cluster) { c.Name = long }), "name", "has 64 characters", "at most 63 on AWS: it is the cluster's id"},
		{"a name too long for AKS", azure(func(c *Cluster) { c.Name = long[:55] }), "name", "has 55 characters", "at most 54 on Azure: it is the DNS prefix"},
		{"no environment", aws(func(c *Cluster) { c.Environment = "" }), "environment", "it is missing", "prod"},
		{"an environment with a slash", aws(func(c *Cluster) { c.Environment = "a/b" }), "environment", `"a/b" is not`, "prod"},
		{"an environment too long", aws(func(c *Cluster) { c.Environment = long }), "environment", "has 64 characters", "at most 63"},
		{"a namespace that is none", aws(func(c *Cluster) { c.Namespace = "_" }), "namespace", `"_" is not`, "clusters"},
		{"no region", aws(func(c *Cluster) { c.Region = "" }), "region", `"" is no region of AWS`, "eu-west-1"},
		{"a region of the other cloud", aws(func(c *Cluster) { c.Region = "westeurope" }), "region", `"westeurope" is no region of AWS`, "eu-west-1"},
		{"a zone", aws(func(c *Cluster) { c.Region = "eu-west-1b" }), "region", `"eu-west-1b" is one zone`, "use eu-west-1; nodes"},
		{"a region of AWS in Azure", azure(func(c *Cluster) { c.Region = "eu-west-1" }), "region", `"eu-west-1" is no region of Azure`, "westeurope"},
		{"a region as Azure shows it", azure(func(c *Cluster) { c.Region = "West US 2" }), "region", `"West US 2" is not how`, "use westus2"},
		{"no version", aws(func(c *Cluster) { c.Kubernetes = "" }), "kubernetes", `"" is no version`, "1.36"},
		{"a major version", aws(func(c *Cluster) { c.Kubernetes = "1" }), "kubernetes", `"1" is no version`, "1.36"},
		{"a range", azure(func(c *Cluster) { c.Kubernetes = "1.36.x" }), "kubernetes", `"1.36.x" is no version`, "1.36"},
		{"a patch of EKS", aws(func(c *Cluster) { c.Kubernetes = "v1.36.4" }), "kubernetes", "AWS chooses the patch", "use 1.36"},
		{"no nodes", aws(func(c *Cluster) { c.Nodes = 0 }), "nodes", "0 cannot be had", "use 1 to 450 on AWS"},
		{"too many nodes", azure(func(c *Cluster) { c.Nodes = 1001 }), "nodes", "1001 cannot be had", "use 1 to 1000 on Azure"},
		{"a machine of the other cloud", aws(func(c *Cluster) { c.MachineType = "Standard_D2s_v5" }), "machine-type", `"Standard_D2s_v5" is no machine type of AWS`, "m7i.large"},
		{"a machine that is none", azure(func(c *Cluster) { c.MachineType = "large" }), "machine-type", `"large" is no machine type of Azure`, "Standard_D2s_v5"},
		{"an identity that is an ARN", aws(func(c *Cluster) { c.Identity = "arn:aws:iam::1:role/x" }), "identity", "is no name of a Kubernetes object", "AWSClusterRoleIdentity"},
		{"a label that is none", aws(func(c *Cluster) { c.Labels = map[string]string{"a": "b c"} }), "label", "a=b c: ", "key=value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			objs, err := c.cluster.Objects()
			mistake := (*Mistake)(nil)
			if !errors.As(err, &mistake) || objs != nil {
				t.Fatalf("%d objects, error %v; want a mistake", len(objs), err)
			}
			if mistake.Setting != c.setting || !strings.Contains(mistake.Problem, c.problem) || !strings.Contains(mistake.Fix, c.fix) {
				t.Errorf("%+v, want %s: %s (%s)", mistake, c.setting, c.problem, c.fix)
			}
		})
	}
}

func TestWhatCloudsTakeIsTaken(t *testing.T) {
	regions := map[string][]string{
		"aws":   {"us-east-1", "ap-southeast-7", "us-gov-west-1", "cn-northwest-1", "us-iso-east-1", "eusc-de-east-1", "mx-central-1"},
		"azure": {"westeurope", "eastus2", "eastus2euap", "chinanorth3", "usgovvirginia"},
	}
	for cloud, names := range regions {
		for _, region := range names {
			if _, err := with(cloud, func(c *Cluster) { c.Region = region }).Objects(); err != nil {
				t.Errorf("%s: %v", cloud, err)
			}
		}
	}
	for _, machine := range []string{"t3.medium", "m7i-flex.large", "m7i.metal-24xl", "u-6tb1.metal"} {
		if _, err := with("aws", func(c *Cluster) { c.MachineType = machine }).Objects(); err != nil {
			t.Error(err)
		}
	}
	for _, machine := range []string{"Standard_D2s_v5", "Standard_NC24ads_A100_v4", "Standard_M416-208ms_v2", "Basic_A1"} {
		if _, err := with("azure", func(c *Cluster) { c.MachineType = machine }).Objects(); err != nil {
			t.Error(err)
		}
	}
	if _, err := with("azure", func(c *Cluster) { c.Name = strings.Repeat("n", 54) }).Objects(); err != nil {
		t.Error(err)
	}
}

func TestTheClusterKeepsItsLabels(t *testing.T) {
	given := map[string]string{"a": "b"}
	c := with("aws", func(c *Cluster) { c.Labels = given })
	want := map[string]string{"a": "b", fleetv1.LabelRegister: "true", fleetv1.LabelEnvironment: "prod"}
	if diff := cmp.Diff(want, c.ClusterLabels()); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if !maps.Equal(given, map[string]string{"a": "b"}) {
		t.Errorf("the caller's labels became %v", given)
	}
}
