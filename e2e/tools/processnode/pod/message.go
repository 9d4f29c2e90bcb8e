package pod

import (
	"bytes"
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/containerlog"
)

// Bounds of termination messages, as a kubelet has them.
const (
	maxMessage    = 4096
	fallbackBytes = 2048
	fallbackLines = 80
)

func messagePath(c *corev1.Container) string {
	if c.TerminationMessagePath != "" {
		return c.TerminationMessagePath
	}
	return corev1.TerminationMessagePathDefault
}

// terminationMessage is what the container wrote of its end or, where the pod wants that, the end of its log.
func (f *files) terminationMessage(ctx context.Context, c *corev1.Container, code int32) (string, error) {
	text, err := os.ReadFile(f.message)
	if err != nil {
		return "", fmt.Errorf("read termination message: %w", err)
	}
	if len(text) > 0 || c.TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError || code == 0 {
		return string(text[:min(len(text), maxMessage)]), nil
	}
	var b bytes.Buffer
	tail := containerlog.Options{Tail: fallbackLines, Limit: -1}
	if err := containerlog.Read(ctx, f.log.Name(), tail, nil, &b, func() {}); err != nil {
		return "", fmt.Errorf("read end of log: %w", err)
	}
	return string(b.Bytes()[max(0, b.Len()-fallbackBytes):]), nil
}
