package event

// Reasons of episodes about workloads. Where the kubelet or a controller has a word for the
// failure, that word is the reason. Episodes of Flux objects have the reason of Flux's own
// condition ("BuildFailed", "UpgradeFailed", …).
const (
	ReasonCrashLoop        = "CrashLoopBackOff" // also for repeated crashes before the kubelet backs off
	ReasonOOMKilled        = "OOMKilled"
	ReasonConfigError      = "CreateContainerConfigError" // the message names what is missing
	ReasonCreateError      = "CreateContainerError"
	ReasonImagePull        = "ImagePullBackOff" // every way in which an image cannot be had
	ReasonInitFailed       = "InitContainerFailed"
	ReasonUnschedulable    = "Unschedulable"
	ReasonNotStarted       = "NotStarted" // scheduled, and no container starts: volumes, sandbox, slow images
	ReasonNotReady         = "NotReady"   // running, and readiness does not come
	ReasonProgressDeadline = "ProgressDeadlineExceeded"
	ReasonJobFailed        = "JobFailed"
)
