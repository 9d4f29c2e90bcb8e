package event

import (
	"fmt"
	"strings"
)

// Object names a Kubernetes object by kind, namespace and name. It is written
// "<Kind>/<namespace>/<name>", with an empty namespace for cluster-scoped kinds, and serves as
// map key and as the CloudEvents subject.
type Object struct {
	Kind, Namespace, Name string
}

// String writes the object; the zero Object is "".
func (o Object) String() string {
	if o == (Object{}) {
		return ""
	}
	return o.Kind + "/" + o.Namespace + "/" + o.Name
}

// ParseObject reads what String wrote.
func ParseObject(text string) (Object, error) {
	if text == "" {
		return Object{}, nil
	}
	parts := strings.Split(text, "/")
	if len(parts) != 3 || parts[0] == "" || parts[2] == "" {
		return Object{}, fmt.Errorf("object %q is not <Kind>/<namespace>/<name>", text)
	}
	return Object{Kind: parts[0], Namespace: parts[1], Name: parts[2]}, nil
}

// MarshalText makes an Object a string in JSON.
func (o Object) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads an Object from a JSON string.
func (o *Object) UnmarshalText(text []byte) (err error) {
	*o, err = ParseObject(string(text))
	return err
}

// IsZero lets encoding/json leave out an Object that names nothing (omitzero).
func (o Object) IsZero() bool { return o == Object{} }
