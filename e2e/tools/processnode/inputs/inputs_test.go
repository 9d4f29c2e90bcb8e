package inputs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
)

func TestExpand(t *testing.T) {
	vars := map[string]string{"A": "1", "B_C": "two"}
	for in, want := range map[string]string{
		"plain":        "plain",
		"$(A)-$(B_C)":  "1-two",
		"$(UNKNOWN)":   "$(UNKNOWN)",
		"$$(A)":        "$(A)",
		"$$$(A)":       "$1",
		"$A $ $":       "$A $ $",
		"$(A":          "$(A",
		"x$(A)$(A)y$$": "x11y$",
		"$()":          "$()",
	} {
		t.Run(in, func(t *testing.T) {
			if diff := cmp.Diff(want, Expand(in, vars)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzExpandKeepsTextWithoutDollars(f *testing.F) {
	f.Add("a$(A)b")
	f.Fuzz(func(t *testing.T, s string) {
		if got := Expand(s, nil); len(got) > len(s) {
			t.Errorf("Expand(%q) = %q", s, got)
		}
	})
}

func kubernetesService() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kubernetes"},
		Spec:       corev1.ServiceSpec{ClusterIP: "10.0.0.1", Ports: []corev1.ServicePort{{Name: "https", Port: 443}}},
	}
}

func environment(objects ...runtime.Object) Environment {
	return Environment{
		Objects:     Objects{Client: fake.NewClientset(objects...)},
		Services:    func() []*corev1.Service { return []*corev1.Service{kubernetesService()} },
		Allocatable: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
	}
}

var (
	settings = &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "settings"},
		Data:       map[string]string{"LEVEL": "debug", "not=a-name": "x"},
	}
	login = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "login"}, Data: map[string][]byte{"password": []byte("s3cret")},
	}
	shopPod = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u", Labels: map[string]string{"app": "web"}},
		Status:     corev1.PodStatus{PodIP: "10.244.0.2"},
	}
)

func configMapKey(name, key string, optional bool) corev1.EnvVar {
	return corev1.EnvVar{Name: "V", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: &optional,
	}}}
}

func secretKey(name, key string) corev1.EnvVar {
	return corev1.EnvVar{Name: "V", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key,
	}}}
}

func TestBuildOneVariable(t *testing.T) {
	for name, tc := range map[string]struct {
		env  []corev1.EnvVar
		from []corev1.EnvFromSource
		want string // of variable V
		err  string
	}{
		"a value refers to variables before it": {env: []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "V", Value: "$(A)$(B)"}, {Name: "B", Value: "2"}}, want: "1$(B)"},
		"a value refers to the API server":      {env: []corev1.EnvVar{{Name: "V", Value: "$(KUBERNETES_SERVICE_HOST)"}}, want: "10.0.0.1"},
		"a field": {env: []corev1.EnvVar{{Name: "V", ValueFrom: &corev1.EnvVarSource{
			FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['app']"}}}}, want: "web"},
		"a limit that is not set is the node's": {env: []corev1.EnvVar{{Name: "V", ValueFrom: &corev1.EnvVarSource{
			ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory", Divisor: resource.MustParse("1Mi")}}}}, want: "1024"},
		"a key of a ConfigMap":         {env: []corev1.EnvVar{configMapKey("settings", "LEVEL", false)}, want: "debug"},
		"a key of a Secret":            {env: []corev1.EnvVar{secretKey("login", "password")}, want: "s3cret"},
		"a missing ConfigMap":          {env: []corev1.EnvVar{configMapKey("absent", "k", false)}, err: `configmap "absent" not found`},
		"a missing optional ConfigMap": {env: []corev1.EnvVar{configMapKey("absent", "k", true)}},
		"a missing key of a ConfigMap": {env: []corev1.EnvVar{configMapKey("settings", "k", false)}, err: "couldn't find key k in ConfigMap shop/settings"},
		"a missing optional key":       {env: []corev1.EnvVar{configMapKey("settings", "k", true)}},
		"a missing Secret":             {env: []corev1.EnvVar{secretKey("absent", "k")}, err: `secret "absent" not found`},
		"a missing key of a Secret":    {env: []corev1.EnvVar{secretKey("login", "k")}, err: "couldn't find key k in Secret shop/login"},
		"an own value wins over a whole map": {
			from: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}},
			env:  []corev1.EnvVar{{Name: "V", Value: "$(LEVEL)"}}, want: "debug"},
		"a whole Secret that is missing": {
			from: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "absent"}}}},
			err:  `secret "absent" not found`},
	} {
		t.Run(name, func(t *testing.T) {
			env, err := environment(settings, login).Build(t.Context(), shopPod, &corev1.Container{Env: tc.env, EnvFrom: tc.from})
			message := ""
			if err != nil {
				message = err.Error()
			}
			if diff := cmp.Diff([]string{tc.want, tc.err}, []string{env["V"], message}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestServiceVariables(t *testing.T) {
	mine := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-api"},
		Spec:       corev1.ServiceSpec{ClusterIP: "10.0.0.7", Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
	}
	headless := mine.DeepCopy()
	headless.Name, headless.Spec.ClusterIP = "headless", "None"
	services := []*corev1.Service{kubernetesService(), mine, headless}
	got, err := serviceVariables(services, "shop", true)
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{
		"WEB_API_SERVICE_HOST": "10.0.0.7", "WEB_API_SERVICE_PORT": "80", "WEB_API_SERVICE_PORT_HTTP": "80",
		"WEB_API_PORT": "tcp://10.0.0.7:80", "WEB_API_PORT_80_TCP_PROTO": "tcp", "HEADLESS_SERVICE_HOST": "",
		"KUBERNETES_SERVICE_PORT_HTTPS": "443",
	} {
		if got[k] != want {
			t.Errorf("%s = %q, want %q", k, got[k], want)
		}
	}
	if got, err := serviceVariables(services, "shop", false); err != nil || got["WEB_API_SERVICE_HOST"] != "" {
		t.Errorf("without links: %v, %v", got, err)
	}
	if _, err := serviceVariables(nil, "shop", true); err == nil {
		t.Error("without the API server's Service no pod can start")
	}
}

func TestVolumesFollowTheirSources(t *testing.T) {
	pod := shopPod.DeepCopy()
	optional := true
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "conf", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}, Items: []corev1.KeyToPath{{Key: "LEVEL", Path: "a/level"}}}}},
		{Name: "later", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "later", Optional: &optional}}},
	}
	client := fake.NewClientset(settings)
	v := NewVolumes(Objects{Client: client}, pod, t.TempDir(), false)
	sync := func() {
		t.Helper()
		if err := v.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	read := func(volume, name string) string {
		dir, _ := v.Path(volume)
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
	sync()
	dir, _ := v.Path("conf")
	before, err := os.Readlink(filepath.Join(dir, dataLink))
	if err != nil {
		t.Fatal(err)
	}
	if got := read("conf", "a/level"); got != "debug" {
		t.Errorf("at first: %q", got)
	}
	sync()
	if after, _ := os.Readlink(filepath.Join(dir, dataLink)); after != before {
		t.Error("nothing changed, yet the files were replaced")
	}
	changed := settings.DeepCopy()
	changed.Data["LEVEL"] = "info"
	if _, err := client.CoreV1().ConfigMaps("shop").Update(t.Context(), changed, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "later"}, Data: map[string][]byte{"k": []byte("v")}}
	if _, err := client.CoreV1().Secrets("shop").Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	sync()
	if got := read("conf", "a/level"); got != "info" {
		t.Errorf("after a change: %q", got)
	}
	if got := read("later", "k"); got != "v" {
		t.Errorf("after it came: %q", got)
	}
	if err := client.CoreV1().ConfigMaps("shop").Delete(t.Context(), "settings", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	want := `MountVolume.SetUp failed for volume "conf" : configmap "settings" not found`
	if err := v.Sync(t.Context()); err == nil || err.Error() != want {
		t.Errorf("a ConfigMap that went away: %v", err)
	}
}
