// Package agent renders the agent of a workload cluster: what it runs as, what it may read, and the
// identity that it reports with. Nothing here is applied; see clusters/flux.Applier.
package agent

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Name of the agent's Deployment, service account, Secret, ClusterRole and binding.
const Name = "fairway-agent"

// Keys of the agent's Secret, and where it is mounted.
const (
	KeyCredentials = "agent.creds"
	KeyCA          = "ca.crt"

	secretDir = "/etc/fairway/agent"
	outboxDir = "/var/lib/fairway"
)

// AnnotationConfig on the pod template is a hash of the settings that the agent reads once, at its
// start. Credentials are not among them: the agent reads their file again when they turn.
const AnnotationConfig = "fleet.fairway.dev/config-hash"

// defaultHeartbeat is the Fleet's default.
const defaultHeartbeat = 15 * time.Second

// ErrConfig is wrapped by Objects when a setting that the agent cannot do without is missing.
var ErrConfig = errors.New("agent settings are incomplete")

// Config is one cluster's agent.
type Config struct {
	ClusterID, Environment string        // required
	Cloud, Region          string        // empty: not known
	Image                  string        // required
	EventsURL              string        // required; what the agent dials, tls:// or nats://
	Heartbeat              time.Duration // zero: 15 s
	Credentials            []byte        // required; a NATS credentials file
	CA                     []byte        // PEM that the events server is verified with; empty: the system's
	Settings               Settings      // how it says what it sees, and whose that is
	ExtraArgs              []string      // appended as they are
}

// Objects are the agent's namespace, service account, rights, Secret and Deployment, in the order
// in which they can be applied. The same Config gives the same objects. Errors wrap ErrConfig.
func (c Config) Objects() ([]*unstructured.Unstructured, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	c.Heartbeat = cmp.Or(c.Heartbeat, defaultHeartbeat)
	return []*unstructured.Unstructured{
		Namespace(), serviceAccount(), clusterRole(), clusterRoleBinding(), c.secret(), c.deployment(),
	}, nil
}

func (c Config) validate() error {
	var missing []string
	for _, setting := range []struct {
		name string
		set  bool
	}{
		{"environment", c.Environment != ""},
		{"image", c.Image != ""},
		{"events URL", c.EventsURL != ""},
		{"credentials", len(c.Credentials) > 0},
	} {
		if !setting.set {
			missing = append(missing, setting.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: no %s", ErrConfig, strings.Join(missing, ", no "))
	}
	if !event.ValidCluster(c.ClusterID) {
		return fmt.Errorf("%w: %q is not a cluster id", ErrConfig, c.ClusterID)
	}
	return nil
}

func (c Config) args() []string {
	args := []string{
		"--cluster=" + c.ClusterID,
		"--environment=" + c.Environment,
		"--cloud=" + c.Cloud,
		"--region=" + c.Region,
		"--events-url=" + c.EventsURL,
		"--credentials=" + secretDir + "/" + KeyCredentials,
		"--heartbeat=" + c.Heartbeat.String(),
		"--health=:8081",
		"--outbox-dir=" + outboxDir,
	}
	if len(c.CA) > 0 {
		args = append(args, "--ca="+secretDir+"/"+KeyCA)
	}
	return slices.Concat(args, c.Settings.args(), c.ExtraArgs)
}

// configHash changes when the agent must start anew. Arguments change the template by themselves.
func (c Config) configHash() string {
	sum := sha256.Sum256(c.CA)
	return hex.EncodeToString(sum[:8])
}

// Namespace is the one that the agent is in.
func Namespace() *unstructured.Unstructured {
	return object("v1", "Namespace", "", fleetv1.SystemNamespace, map[string]any{
		"pod-security.kubernetes.io/enforce": "restricted",
		"pod-security.kubernetes.io/warn":    "restricted",
	}, nil)
}

func serviceAccount() *unstructured.Unstructured {
	return object("v1", "ServiceAccount", fleetv1.SystemNamespace, Name, nil, nil)
}

func (c Config) secret() *unstructured.Unstructured {
	data := map[string]any{KeyCredentials: base64Text(c.Credentials)}
	if len(c.CA) > 0 {
		data[KeyCA] = base64Text(c.CA)
	}
	return object("v1", "Secret", fleetv1.SystemNamespace, Name, nil, map[string]any{"type": "Opaque", "data": data})
}
