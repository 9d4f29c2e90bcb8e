package v1alpha1

// Conditions of a WorkloadCluster, in the order of its steps. ReadyCondition, ReconcilingCondition
// and StalledCondition have the meaning that kstatus gives them.
const (
	ConditionReachable      = "Reachable"      // the operator can talk to the cluster's API server
	ConditionAccessRenewed  = "AccessRenewed"  // of an adopted cluster: the token is good, and renewed in time; not needed for Ready
	ConditionSurveyed       = "Surveyed"       // of a cluster from elsewhere: what it runs is known; not needed for Ready
	ConditionConfigWritten  = "ConfigWritten"  // its file in the config repository has the Fleet's layers, and every variable has a value; Ready minds it while the Fleet has layers
	ConditionFluxReady      = "FluxReady"      // Flux is installed, or was found and left alone
	ConditionSynced         = "Synced"         // the root Kustomization reports Ready
	ConditionAgentConnected = "AgentConnected" // heartbeats arrive and the snapshot is in the view

	ConditionProfilePublished = "ProfilePublished" // its ClusterProfile says what its status says; not needed for Ready
)

// Conditions of a Fleet.
const (
	ConditionConfigRepositoryReady = "ConfigRepositoryReady" // it can be read with the given credentials
	ConditionFluxArtifactReady     = "FluxArtifactReady"     // a Flux version in range was found and fetched
	ConditionEventsReady           = "EventsReady"           // keys are made and the stream answers
	ConditionSettingsAccepted      = "SettingsAccepted"      // agents can use spec.ownership and spec.events.redact as they are
	ConditionClustersRegistered    = "ClustersRegistered"    // every selected Cluster API Cluster has joined; not needed for Ready
	ConditionFluxUpgraded          = "FluxUpgraded"          // every cluster that can be has the newest Flux in range; not needed for Ready
)

// Reasons that several conditions share.
const (
	ReasonSucceeded  = "Succeeded"
	ReasonProgress   = "Progressing"
	ReasonWaiting    = "WaitingForPreviousStep" // a step before this one has not succeeded yet
	ReasonSuspended  = "Suspended"
	ReasonNoFleet    = "FleetNotReady"  // there is no Fleet "default", or it is not ready yet
	ReasonInternal   = "InternalError"  // a call failed that a retry may mend; the message has the error
	ReasonIDTaken    = "ClusterIDTaken" // another WorkloadCluster has this id
	ReasonDeleting   = "Deleting"       // the object is going away
	ReasonLeftBehind = "LeftBehind"     // deletion ended by its deadline; the message says what was left
	ReasonPaused     = "Paused"         // it, or its Cluster API Cluster, is paused (cluster.x-k8s.io/paused)
)

// Reasons of Reachable.
const (
	ReasonClusterNotFound     = "ClusterNotFound"            // clusterRef names no Cluster API Cluster
	ReasonClusterAPIMissing   = "ClusterAPINotInstalled"     // clusterRef is used and its CRDs are not there
	ReasonProvisioning        = "ControlPlaneNotInitialized" // Cluster API has no control plane yet
	ReasonKubeconfigMissing   = "KubeconfigNotFound"         // the Secret does not exist
	ReasonKubeconfigInvalid   = "KubeconfigInvalid"          // empty, unreadable, or not a kubeconfig
	ReasonKubeconfigForbidden = "KubeconfigNotAllowed"       // it would run a program or read files of the operator
	ReasonUnreachable         = "Unreachable"                // no connection, or no answer in time
	ReasonUnauthorized        = "Unauthorized"               // the cluster refuses the credentials
	ReasonClusterDeleting     = "ClusterDeleting"            // Cluster API is taking the cluster down
)

// ReasonRenewalFailed is a reason of AccessRenewed: the token is about to end, and there is no new one.
const ReasonRenewalFailed = "RenewalFailed"

// Reasons of Surveyed.
const (
	ReasonSurveyed        = "Surveyed"        // nothing stands in the way of mode Manage
	ReasonConflictsFound  = "ConflictsFound"  // something does; the message has the first few
	ReasonRightsMissing   = "RightsMissing"   // the kubeconfig's user may not do all that Manage takes
	ReasonSurveyFailed    = "SurveyFailed"    // the cluster did not answer all that was asked; it is tried again
	ReasonReportNotStored = "ReportNotStored" // the report's ConfigMap cannot be written
)

// Reasons of ConfigWritten.
const (
	ReasonValuesMissing     = "ValuesMissing"     // manifests use variables that the cluster's values lack; the message has names, files and lines
	ReasonLayerNotFound     = "LayerNotFound"     // the repository has no folder for a layer
	ReasonLayersInvalid     = "LayersInvalid"     // the Fleet's layers contradict each other, or a selector cannot be read
	ReasonEditedByHand      = "EditedByHand"      // the file is not as Fairway wrote it, or not Fairway's; it is left alone
	ReasonNotIncluded       = "FileNotIncluded"   // a kustomization.yaml beside the file does not list it
	ReasonConfigNotWritten  = "ConfigNotWritten"  // the file differs, and there are no credentials to write it with
	ReasonRepositoryRefuses = "RepositoryRefuses" // the server does not take the push; the message has its words
)

// Reasons of FluxReady.
const (
	ReasonFluxExisting   = "ExistingFlux"       // found, and left alone because spec.flux.install is Existing
	ReasonFluxNotFound   = "FluxNotFound"       // spec.flux.install is Existing and there is none
	ReasonFluxConflict   = "FluxNotOurs"        // Flux is there, not installed by Fairway, and install is Managed
	ReasonTakeOverClash  = "TakeOverBlocked"    // install is TakeOver, and something stands in the way; nothing was written
	ReasonArtifactFailed = "FluxArtifactFailed" // the artifact cannot be found or fetched
	ReasonApplyFailed    = "ApplyFailed"        // the cluster refused an object
	ReasonRollingOut     = "RollingOut"         // applied; not every controller is available yet
	ReasonObserveOnly    = "ObserveOnly"        // spec.mode is Observe: nothing is installed but the agent
)

// Reasons of Synced.
const (
	ReasonSyncing    = "Syncing"         // the root Kustomization has not finished this revision
	ReasonSyncFailed = "ReconcileFailed" // the root Kustomization or its source reports a failure
)

// Reasons of AgentConnected.
const (
	ReasonAgentRollingOut = "AgentRollingOut"   // applied; no heartbeat yet
	ReasonAgentSilent     = "HeartbeatsMissed"  // heartbeats stopped; what is known is old
	ReasonAgentRefused    = "AgentRefused"      // the event bus refuses the agent's credentials
	ReasonCredentials     = "CredentialsFailed" // the agent's credentials cannot be made; the message has the error
	ReasonAgentFailing    = "AgentFailing"      // the agent's pod cannot start or dies; the message says why
)

// Reasons of ProfilePublished.
const (
	ReasonProfilesNotInstalled = "ClusterProfilesNotInstalled" // the Fleet asks for them and their CRD is not there
	ReasonProfileTaken         = "ClusterProfileNotOurs"       // another one of its name is there
	ReasonPublishFailed        = "PublishFailed"               // it cannot be read or written; the message has the error
)

// Reasons of what the fleet view says of a cluster that is connected.
const (
	ReasonEventsMissing = "EventsMissing" // events that the agent sent are not in the view
	ReasonViewDiverged  = "ViewDiverged"  // nothing is missing, and the agent's digest is another one
	ReasonClockSkew     = "ClockSkew"     // the agent's clock is off; the times of what happened are, too
)

// Reasons of a Fleet's conditions.
const (
	ReasonRepositoryUnreadable = "RepositoryUnreadable" // wrong address, credentials or branch
	ReasonSecretMissing        = "SecretNotFound"
	ReasonVersionNotFound      = "VersionNotFound"       // no tag of the artifact is in the range
	ReasonEventsUnreachable    = "EventsUnreachable"     // the hub's event bus does not answer the operator
	ReasonEventsAddress        = "EventsAddressUnknown"  // agents have nothing to dial: no spec.events.url, no load balancer address
	ReasonKeysDamaged          = "KeysDamaged"           // Secret fairway-keys lacks a part; it is never overwritten
	ReasonKeysNotMoved         = "KeysNotMoved"          // the Fleet came from another platform, and Secret fairway-keys is not here, or another fleet's
	ReasonSettingsInvalid      = "SettingsInvalid"       // the message names what agents go without, and how to mend it
	ReasonNotRegistered        = "ClustersNotRegistered" // the message names the Cluster API Clusters that cannot join, and why
)

// Reasons of FluxUpgraded.
const (
	ReasonUpToDate     = "UpToDate"     // every cluster that is not skipped or left out has the version
	ReasonUpgrading    = "Upgrading"    // the clusters of a ring get the version
	ReasonSoaking      = "Soaking"      // a ring has it, and the next one waits until it has been healthy for long enough
	ReasonHalted       = "Halted"       // a cluster that got it failed: no other one gets it
	ReasonRingSilent   = "RingSilent"   // no cluster of a ring can be reached, so nothing shows that the version works there
	ReasonRingsInvalid = "RingsInvalid" // the selector of a ring cannot be read
)

// Conditions of an Environment: none but Ready.

// Conditions of a Release, in the order of its steps.
const (
	ConditionAdmitted  = "Admitted"  // every rule lets it go on
	ConditionChecked   = "Checked"   // every cluster would take what is in the artifact
	ConditionCommitted = "Committed" // the config repository tells every cluster whose turn has come to run it
	ConditionAvailable = "Available" // every cluster runs it in health
)

// Reasons of an Environment's Ready.
const (
	ReasonNoClusters          = "NoClusters"          // no WorkloadCluster is in it
	ReasonWavesInvalid        = "WavesInvalid"        // the selector of a wave cannot be read
	ReasonPromotesFromMissing = "PromotesFromMissing" // spec.promotesFrom names no Environment, or leads back here
)

// ReasonPolicyContradicts is a reason of a ReleasePolicy's Ready: an Environment refuses what the policy releases by itself.
const ReasonPolicyContradicts = "PolicyContradicts"

// Reasons of Admitted.
const (
	ReasonAdmitted            = "Admitted"            // nothing stands in the way
	ReasonEnvironmentNotFound = "EnvironmentNotFound" // there is no such Environment
	ReasonServiceInvalid      = "ServiceInvalid"      // team and service are together too long for a name, or the team is one of Fairway's own
	ReasonArtifactNotFound    = "ArtifactNotFound"    // the registry has no such artifact of the service
	ReasonArtifactInvalid     = "ArtifactInvalid"     // it is not an artifact that can be released: too large, a path that climbs out, not what its id says
	ReasonArtifactsAway       = "ArtifactsUnreadable" // the registry does not answer, or refuses; it is tried again
	ReasonNoArtifactStore     = "NoArtifactStore"     // the Fleet has no spec.artifacts
	ReasonBranchNotAllowed    = "BranchNotAllowed"    // the Environment's, or the team's policy's, branches do not match
	ReasonNotPromotable       = "NotPromotable"       // it was not healthy where the promotion path wants it to have been
	ReasonPromotionSoaking    = "PromotionSoaking"    // it is healthy there, and not for long enough; it waits
	ReasonApprovalMissing     = "ApprovalMissing"     // it waits for people to approve
	ReasonFrozen              = "Frozen"              // the Environment is frozen
	ReasonSuperseded          = "Superseded"          // a newer release of the same service and environment took over
	ReasonNothingBefore       = "NothingBefore"       // a rollback to what never ran there
)

// Reasons of Checked.
const (
	ReasonChecking           = "Checking"           // clusters are being asked
	ReasonCheckFailed        = "CheckFailed"        // the message names cluster and object of what would be refused
	ReasonVariableMissing    = "VariableMissing"    // it uses a variable that a cluster lacks; the message names both
	ReasonOutsideTeam        = "OutsideTeam"        // it has an object outside of the team's namespace, or of the whole cluster
	ReasonObjectTaken        = "ObjectTaken"        // another service has an object of it
	ReasonClusterUnavailable = "ClusterUnavailable" // a cluster cannot be asked; it is tried again until the Environment's timeout
)

// Reasons of Committed and Available.
const (
	ReasonCommitted     = "Committed"     // the commit is pushed
	ReasonWaveSoaking   = "WaveSoaking"   // a wave is healthy, and the next one waits until it has been for long enough
	ReasonRolloutFailed = "RolloutFailed" // an episode of the service opened on a cluster that runs the artifact
	ReasonDeployFailed  = "DeployFailed"  // Flux could not apply it
	ReasonTimedOut      = "TimedOut"      // a cluster was not healthy within the Environment's timeout
	ReasonRolledBack    = "RolledBack"    // clusters that had moved are back on what they ran before
	ReasonPointerMoved  = "PointerMoved"  // somebody else moved a pointer that the release had moved; it touches nothing more
)
