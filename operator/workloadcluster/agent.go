package workloadcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/runtime/conditions"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/agent"
	"github.com/fairway-dev/fairway/operator/eventbus"
	"github.com/fairway-dev/fairway/operator/steps"
)

// keysPoll is how soon to look again for what the Fleet's reconciler makes.
const keysPoll = 2 * time.Second

// connectAgent takes the step AgentConnected.
func (r *Reconciler) connectAgent(ctx context.Context, p *pass) steps.Outcome {
	if p.fleet == nil {
		return noFleet()
	}
	config, err := r.agentConfig(ctx, p)
	if err != nil {
		return agentNotConfigured(err)
	}
	objs, err := config.Objects()
	if err != nil {
		return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonApplyFailed, Message: err.Error(), Err: err}
	}
	seen := r.lookAtAgent(p)
	if seen.foreign, err = r.foreignCredentials(ctx, p, config.Credentials); err != nil {
		return clusterFailed(err)
	}
	if seen.pending, err = r.apply(ctx, p, setAgent, objs); err != nil {
		return applyFailed(err)
	}
	if !seen.agent.Connected {
		if seen.trouble, err = podTrouble(ctx, p.cluster.Client); err != nil {
			return clusterFailed(err)
		}
	}
	p.agent.Version = seen.agent.Version
	outcome := agentOutcome(seen)
	switch {
	case outcome.Reason == fleetv1.ReasonAgentSilent:
		outcome.After = steps.Jitter(watchPoll) // the fleet view tells when it is heard again; many may have fallen silent together
	case outcome.State != steps.Done:
		outcome.After = r.pollSince(p, fleetv1.ConditionAgentConnected)
	case seen.blind != nil:
		outcome.After = steps.Jitter(secretPoll)
	}
	return outcome
}

// agentConfig is what the cluster's agent runs with. Its credentials are made or renewed here.
func (r *Reconciler) agentConfig(ctx context.Context, p *pass) (agent.Config, error) {
	url, err := r.Store.Address(ctx, p.fleet)
	if err != nil {
		return agent.Config{}, err
	}
	identity, err := r.Store.Agent(ctx, p.obj.ID())
	if err != nil {
		return agent.Config{}, err
	}
	// What agents cannot use is told of on the Fleet, and stops none of them.
	settings, _ := agent.SettingsOf(p.fleet, p.obj)
	p.agent.CredentialsExpire = &metav1.Time{Time: identity.Expires}
	return agent.Config{
		ClusterID: p.obj.ID(), Environment: p.obj.Spec.Environment,
		Cloud: p.cloud.Provider, Region: p.cloud.Region,
		Image: r.AgentImage, EventsURL: url, Heartbeat: p.fleet.Spec.Heartbeat.Interval.Duration,
		Credentials: identity.Creds, CA: identity.CA, Settings: settings,
	}, nil
}

// agentNotConfigured is the outcome when the agent lacks an address or credentials.
func agentNotConfigured(err error) steps.Outcome {
	switch {
	case errors.Is(err, eventbus.ErrNoKeys):
		return steps.Outcome{State: steps.Waiting, Reason: fleetv1.ReasonNoFleet, After: steps.Jitter(keysPoll),
			Message: "the Fleet has not made the event bus's keys yet"}
	case errors.Is(err, eventbus.ErrNoAddress):
		return steps.Outcome{State: steps.Working, Reason: fleetv1.ReasonEventsAddress, After: steps.Jitter(secretPoll), Message: err.Error()}
	}
	return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonCredentials, Message: err.Error(), Err: err}
}

// foreignCredentials says whose credentials the agent's Secret on the cluster holds, when they are
// neither those it should have nor earlier ones of its own. The Secret is then applied again.
func (r *Reconciler) foreignCredentials(ctx context.Context, p *pass, own []byte) (string, error) {
	var secret corev1.Secret
	err := p.cluster.Client.Get(ctx, types.NamespacedName{Namespace: fleetv1.SystemNamespace, Name: agent.Name}, &secret)
	if client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("get the agent's Secret: %w", err)
	}
	if held := secret.Data[agent.KeyCredentials]; err == nil && !bytes.Equal(held, own) {
		r.applied.forget(recentKey{cluster: p.obj.ID(), set: setAgent})
		return r.Store.Foreign(ctx, p.obj.ID(), held)
	}
	return "", nil
}

// agentSeen is what decides whether an agent is connected.
type agentSeen struct {
	heard   bool
	agent   Agent
	pending []string // objects of the agent that are not ready
	trouble string   // why its pod does not run
	foreign string   // whose credentials its Secret held, when not its own

	blind     error         // nothing can be said of agents: why
	blindFor  time.Duration // and for how long
	patience  time.Duration // how long what was known before is believed
	connected bool          // the condition is True
}

// agentSilent says whether an agent was heard and no longer is.
func (r *Reconciler) agentSilent(id string) bool {
	if _, blind := r.Agents.Blind(); blind != nil {
		return false
	}
	agent, heard := r.Agents.Agent(id)
	return heard && !agent.Connected && !agent.LastHeartbeat.IsZero()
}

func (r *Reconciler) lookAtAgent(p *pass) agentSeen {
	var seen agentSeen
	seen.agent, seen.heard = r.Agents.Agent(p.obj.ID())
	since, why := r.Agents.Blind()
	if why != nil {
		seen.blind, seen.blindFor = why, r.Clock.Now().Sub(since)
	}
	heartbeat := p.fleet.Spec.Heartbeat
	seen.patience = heartbeat.Interval.Duration * time.Duration(heartbeat.MissesUntilUnknown)
	seen.connected = conditions.IsTrue(p.obj, fleetv1.ConditionAgentConnected)
	return seen
}

// agentOutcome decides whether the agent is connected.
func agentOutcome(seen agentSeen) steps.Outcome {
	progress := steps.Outcome{State: steps.Working, Reason: fleetv1.ReasonAgentRollingOut}
	switch {
	case seen.foreign != "":
		return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonAgentRefused, Message: fmt.Sprintf(
			"Secret %s/%s on the cluster held credentials of %s, which the event bus refuses to this agent; "+
				"they were replaced with its own: find out who wrote them", fleetv1.SystemNamespace, agent.Name, seen.foreign)}
	case seen.blind != nil && seen.connected && seen.blindFor < seen.patience:
		return connected
	case seen.blind != nil:
		return steps.Outcome{State: steps.Waiting, Reason: fleetv1.ReasonEventsUnreachable,
			Message: "the agent is installed; whether it is connected cannot be told: " + seen.blind.Error()}
	case seen.agent.Connected && seen.agent.Snapshot:
		return connected
	case seen.agent.Connected:
		progress.Message = "the agent is connected; its snapshot has not arrived yet"
		return progress
	case seen.trouble != "":
		return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonAgentFailing, Message: seen.trouble}
	case seen.heard && !seen.agent.LastHeartbeat.IsZero():
		return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonAgentSilent, Message: fmt.Sprintf(
			"no heartbeat since %s; look at Deployment %s in namespace %s on the cluster, and whether it reaches the event bus",
			seen.agent.LastHeartbeat.UTC().Format(time.RFC3339), agent.Name, fleetv1.SystemNamespace)}
	case len(seen.pending) > 0:
		progress.Message = "the agent is applied; not ready yet: " + few(seen.pending)
		return progress
	}
	progress.Message = "the agent runs; it has not been heard on the event bus yet"
	return progress
}

// connected never varies in its text: it is what most clusters show most of the time.
var connected = steps.Succeeded("heartbeats arrive and the snapshot is in the fleet view")

// podTrouble says why the agent's pod does not run, in the words of Kubernetes or of the agent
// itself; empty when there is nothing to say.
func podTrouble(ctx context.Context, c client.Reader) (string, error) {
	var pods corev1.PodList
	err := c.List(ctx, &pods, client.InNamespace(fleetv1.SystemNamespace), client.MatchingLabels{"app.kubernetes.io/name": agent.Name})
	if err != nil {
		return "", fmt.Errorf("list the agent's pods: %w", err)
	}
	return trouble(pods.Items), nil
}

// trouble is what keeps the newest of the agent's pods from running.
func trouble(pods []corev1.Pod) string {
	var newest *corev1.Pod
	for i := range pods {
		if newest == nil || newest.CreationTimestamp.Before(&pods[i].CreationTimestamp) {
			newest = &pods[i]
		}
	}
	if newest == nil || !newest.DeletionTimestamp.IsZero() {
		return ""
	}
	for _, condition := range newest.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return "the agent's pod cannot be scheduled: " + condition.Message
		}
	}
	for _, container := range newest.Status.ContainerStatuses {
		if text := containerTrouble(container); text != "" {
			return text
		}
	}
	return ""
}

// startingReasons are those of a container that waits, and is well.
var startingReasons = map[string]bool{"": true, "ContainerCreating": true, "PodInitializing": true}

func containerTrouble(status corev1.ContainerStatus) string {
	waiting := status.State.Waiting
	if waiting == nil || startingReasons[waiting.Reason] {
		return ""
	}
	text := "the agent's container waits: " + waiting.Reason
	if last := status.LastTerminationState.Terminated; last != nil {
		text = fmt.Sprintf("the agent ended with code %d", last.ExitCode)
		if last.Message != "" {
			return text + ": " + last.Message
		}
		return text + fmt.Sprintf("; see: kubectl logs --previous -n %s deploy/%s", fleetv1.SystemNamespace, agent.Name)
	}
	if waiting.Message != "" {
		text += ": " + waiting.Message
	}
	return text
}
