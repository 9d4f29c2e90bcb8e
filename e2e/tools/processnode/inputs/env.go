package inputs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// ErrNoServices means that the Service of the API server is not known yet, so that no pod could find it.
var ErrNoServices = errors.New("services have not yet been read at least once, cannot construct envvars")

// Environment builds the environments of containers.
type Environment struct {
	Objects
	// Services are all Services of the cluster.
	Services func() []*corev1.Service
	// Allocatable is what a container without limits may use.
	Allocatable corev1.ResourceList
}

// Build makes the variables that a container gets from its pod; pod carries its present status. An error is what a kubelet
// shows as CreateContainerConfigError.
func (e Environment) Build(ctx context.Context, pod *corev1.Pod, c *corev1.Container) (map[string]string, error) {
	links := pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks
	env, err := serviceVariables(e.Services(), pod.Namespace, links)
	if err != nil {
		return nil, err
	}
	for _, f := range c.EnvFrom {
		if err := e.addAll(ctx, env, pod.Namespace, f); err != nil {
			return nil, err
		}
	}
	for _, v := range c.Env {
		if v.ValueFrom == nil {
			env[v.Name] = Expand(v.Value, env)
			continue
		}
		value, set, err := e.from(ctx, pod, c, v.ValueFrom)
		if err != nil {
			return nil, err
		}
		if set {
			env[v.Name] = value
		}
	}
	return env, nil
}

// addAll adds every key of an object that can be the name of a variable.
func (e Environment) addAll(ctx context.Context, env map[string]string, namespace string, f corev1.EnvFromSource) error {
	var ref object
	switch {
	case f.ConfigMapRef != nil:
		ref = configMap(f.ConfigMapRef.Name, f.ConfigMapRef.Optional)
	case f.SecretRef != nil:
		ref = secret(f.SecretRef.Name, f.SecretRef.Optional)
	default:
		return nil
	}
	data, err := e.data(ctx, namespace, ref)
	if err != nil {
		return err
	}
	for k, v := range data {
		if name := f.Prefix + k; len(validation.IsRelaxedEnvVarName(name)) == 0 {
			env[name] = string(v)
		}
	}
	return nil
}

// from reads the value of one variable; false means that it stays unset.
func (e Environment) from(ctx context.Context, pod *corev1.Pod, c *corev1.Container, s *corev1.EnvVarSource) (string, bool, error) {
	switch {
	case s.FieldRef != nil:
		v, err := Field(pod, s.FieldRef.FieldPath)
		return v, true, err
	case s.ResourceFieldRef != nil:
		v, err := Resource(c, s.ResourceFieldRef, e.Allocatable)
		return v, true, err
	case s.ConfigMapKeyRef != nil:
		r := s.ConfigMapKeyRef
		return e.key(ctx, pod.Namespace, configMap(r.Name, r.Optional), r.Key)
	case s.SecretKeyRef != nil:
		r := s.SecretKeyRef
		return e.key(ctx, pod.Namespace, secret(r.Name, r.Optional), r.Key)
	}
	return "", false, errors.New("a process node takes variables from fields, resources, ConfigMaps and Secrets only")
}

func (e Environment) key(ctx context.Context, namespace string, ref object, key string) (string, bool, error) {
	data, err := e.data(ctx, namespace, ref)
	if err != nil {
		return "", false, err
	}
	v, ok := data[key]
	if !ok && !ref.optional {
		return "", false, fmt.Errorf("couldn't find key %v in %s %v/%v", key, ref.kind, namespace, ref.name)
	}
	return string(v), ok, nil
}

// serviceVariables are those by which every pod finds the API server and, with links, the Services of its namespace.
func serviceVariables(services []*corev1.Service, namespace string, links bool) (map[string]string, error) {
	env := map[string]string{}
	found := false
	for _, s := range services {
		api := s.Namespace == corev1.NamespaceDefault && s.Name == "kubernetes"
		found = found || api
		if !api && (s.Namespace != namespace || !links) {
			continue
		}
		if s.Spec.ClusterIP != "" && s.Spec.ClusterIP != corev1.ClusterIPNone && len(s.Spec.Ports) > 0 {
			maps.Copy(env, linkVariables(s))
		}
	}
	if !found {
		return nil, ErrNoServices
	}
	return env, nil
}

func linkVariables(s *corev1.Service) map[string]string {
	name := variableName(s.Name)
	ip, first := s.Spec.ClusterIP, s.Spec.Ports[0]
	env := map[string]string{
		name + "_SERVICE_HOST": ip,
		name + "_SERVICE_PORT": number(first.Port),
		name + "_PORT":         link(ip, first),
	}
	for _, p := range s.Spec.Ports {
		if p.Name != "" {
			env[name+"_SERVICE_PORT_"+variableName(p.Name)] = number(p.Port)
		}
		prefix := fmt.Sprintf("%s_PORT_%d_%s", name, p.Port, transport(p))
		env[prefix] = link(ip, p)
		env[prefix+"_PROTO"] = strings.ToLower(transport(p))
		env[prefix+"_PORT"] = number(p.Port)
		env[prefix+"_ADDR"] = ip
	}
	return env
}

func link(ip string, p corev1.ServicePort) string {
	return strings.ToLower(transport(p)) + "://" + net.JoinHostPort(ip, number(p.Port))
}

func transport(p corev1.ServicePort) string {
	if p.Protocol == "" {
		return string(corev1.ProtocolTCP)
	}
	return string(p.Protocol)
}

func number(n int32) string { return strconv.Itoa(int(n)) }

func variableName(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "-", "_")) }

// List is the environment as a process wants it: "NAME=value", sorted. Later maps win.
func List(envs ...map[string]string) []string {
	all := map[string]string{}
	for _, e := range envs {
		maps.Copy(all, e)
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(all)) {
		out = append(out, k+"="+all[k])
	}
	return out
}
