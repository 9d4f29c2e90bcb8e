package inputs

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// tokens are a pod's service account tokens. They are renewed after 80 % of their life, as a kubelet does.
type tokens struct {
	client kubernetes.Interface
	pod    *corev1.Pod
	have   map[string]token
}

type token struct {
	text  string
	renew time.Time
}

func (t tokens) get(ctx context.Context, s *corev1.ServiceAccountTokenProjection) (string, error) {
	key := s.Audience + "|" + s.Path
	if have, ok := t.have[key]; ok && time.Now().Before(have.renew) {
		return have.text, nil
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: s.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: t.pod.Name, UID: t.pod.UID},
	}}
	if s.Audience != "" {
		request.Spec.Audiences = []string{s.Audience}
	}
	account := t.pod.Spec.ServiceAccountName
	if account == "" {
		account = "default"
	}
	asked := time.Now()
	answer, err := t.client.CoreV1().ServiceAccounts(t.pod.Namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("failed to fetch token: %w", err)
	}
	life := answer.Status.ExpirationTimestamp.Sub(asked)
	t.have[key] = token{text: answer.Status.Token, renew: asked.Add(life * 8 / 10)}
	return answer.Status.Token, nil
}
