package preflight

import (
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestWhatTheServerSaysOfASecretHasNoneOfItsValues(t *testing.T) {
	secret := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "data": map[string]any{"k": "aHVudGVyMg==", "empty": "", "odd": "!"}}}
	if got := hide(secret, `data.k: Invalid value: "hunter2" (aHVudGVyMg==)`); got != `data.k: Invalid value: "***" (***)` {
		t.Errorf("%q", got)
	}
	other := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"k": "x"}}}
	if got := hide(other, "x"); got != "x" {
		t.Errorf("%q", got)
	}
}

func TestAMessageIsOneLineOfBoundedLength(t *testing.T) {
	got := failed("", "a\n b\t%s", strings.Repeat("ü", maxMessage)).Message
	if len(got) > maxMessage || !utf8.ValidString(got) || !strings.HasPrefix(got, "a b ü") || !strings.HasSuffix(got, "ü…") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	if got := failed("", "\xff").Message; got != "�" {
		t.Errorf("%q", got)
	}
}
