package view

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/event/wire"
)

// fluxPayload and workloadPayload are what the view needs of event.Flux and event.Workload:
// decoding the rest costs more than folding it. A test holds them to the contract's names. Texts
// are parts of the event's data, to be compared with what is known before they are copied.
type fluxPayload struct {
	Reason          raw `json:"reason"`
	Message         raw `json:"message"`
	AppliedRevision raw `json:"appliedRevision"`
	Source          raw `json:"source"`
	Owner           raw `json:"owner"`
}

type workloadPayload struct {
	Desired   int32 `json:"desired"`
	Ready     int32 `json:"ready"`
	Available int32 `json:"available"`
	Images    raws  `json:"images"`
	Reason    raw   `json:"reason"`
	Message   raw   `json:"message"`
	Owner     raw   `json:"owner"`
}

// raw is a text that is not copied yet.
type raw []byte

// UnmarshalText is for what encoding/json has to decode.
func (r *raw) UnmarshalText(text []byte) error {
	*r = append(raw(nil), text...)
	return nil
}

func (r *raw) take(value []byte) (ok bool) {
	*r, ok = wire.Bytes(value)
	return ok
}

// or is the text as a string: have where that is the same.
func (r raw) or(have string) string {
	if string(r) == have {
		return have
	}
	return string(r)
}

// raws is a list of texts with newlines between them.
type raws []byte

// UnmarshalJSON is for what encoding/json has to decode.
func (r *raws) UnmarshalJSON(data []byte) error {
	var all []string
	err := json.Unmarshal(data, &all)
	*r = raws(strings.Join(all, "\n"))
	return err
}

func (r *raws) take(value []byte) bool {
	*r = nil
	n := 0
	return wire.Elements(value, func(element []byte) bool {
		text, ok := wire.Bytes(element)
		switch n++; n {
		case 1:
			*r = raws(text)
		case 2:
			*r = append(append(append(raws(nil), *r...), '\n'), text...)
		default:
			*r = append(append(*r, '\n'), text...)
		}
		return ok
	})
}

// plain reads the payload as its senders write it; false: encoding/json has to decide.
func (p *fluxPayload) plain(data []byte) bool {
	return wire.Members(data, func(key, value []byte) bool {
		switch string(key) {
		case "reason":
			return p.Reason.take(value)
		case "message":
			return p.Message.take(value)
		case "appliedRevision":
			return p.AppliedRevision.take(value)
		case "source":
			return p.Source.take(value)
		case "owner":
			return p.Owner.take(value)
		}
		return contractName(key)
	})
}

func (p *workloadPayload) plain(data []byte) bool {
	return wire.Members(data, func(key, value []byte) (ok bool) {
		switch string(key) {
		case "desired":
			p.Desired, ok = wire.Int(value)
		case "ready":
			p.Ready, ok = wire.Int(value)
		case "available":
			p.Available, ok = wire.Int(value)
		case "images":
			ok = p.Images.take(value)
		case "reason":
			ok = p.Reason.take(value)
		case "message":
			ok = p.Message.take(value)
		case "owner":
			ok = p.Owner.take(value)
		default:
			ok = contractName(key)
		}
		return ok
	})
}

// contractName says whether the member is one that the view knows it has no need of. Others are
// left to encoding/json, which takes a known name whatever the case of its letters.
func contractName(key []byte) bool {
	switch string(key) {
	case "apiVersion", "attemptedRevision", "originRevision", "inventory", "durationMillis", "path", "dependsOn", "generation", "updated":
		return true
	}
	return false
}

// payload decodes what the entry carries into a pointer to its struct.
func payload(e *event.Entry, out any) error {
	if err := json.Unmarshal(e.Data, out); err != nil {
		return fmt.Errorf("%w: %s of %s: %w", ErrPayload, e.Type, e.Subject, err)
	}
	return nil
}

func fluxOf(e *event.Entry) (fluxPayload, error) {
	var p fluxPayload
	if p.plain(e.Data) {
		return p, nil
	}
	return decoded[fluxPayload](e)
}

func workloadOf(e *event.Entry) (workloadPayload, error) {
	var p workloadPayload
	if p.plain(e.Data) {
		return p, nil
	}
	return decoded[workloadPayload](e)
}

func decoded[T any](e *event.Entry) (out T, err error) {
	err = payload(e, &out)
	return out, err
}
