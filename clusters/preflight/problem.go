package preflight

import (
	"fmt"
	"strings"
	"unicode/utf8"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// maxMessage bounds a problem's message, in bytes. Admission can say as much as it likes.
const maxMessage = 1024

// Problem is why a cluster would not run an artifact.
type Problem struct {
	Object  string // "Deployment/payments/ledger"; empty when it is about a file, or about all of the artifact
	Reason  string // one of the reasons of fleetv1.ConditionChecked
	Message string // one line, at most 1 KiB: what is wrong, with file and line where they are known, and what mends it
}

// String is "Deployment/payments/ledger: <message>".
func (p Problem) String() string {
	if p.Object == "" {
		return p.Message
	}
	return p.Object + ": " + p.Message
}

// failed is a problem of the reason CheckFailed.
func failed(object, format string, args ...any) Problem {
	return problem(fleetv1.ReasonCheckFailed, object, format, args...)
}

func problem(reason, object, format string, args ...any) Problem {
	return Problem{Object: object, Reason: reason, Message: clip(strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " "))}
}

// clip cuts a text to maxMessage bytes, between letters.
func clip(text string) string {
	const ending = "…"
	text = strings.ToValidUTF8(text, "�")
	if len(text) <= maxMessage {
		return text
	}
	at := maxMessage - len(ending)
	for !utf8.RuneStart(text[at]) {
		at--
	}
	return text[:at] + ending
}
