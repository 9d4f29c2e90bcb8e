package event

import (
	"encoding/json"
	"fmt"

	"github.com/fairway-dev/fairway/api/event/wire"
)

// Decode reads an event from the wire and validates it. Unknown attributes are ignored, so that
// old readers accept newer events. The event's Data is a part of data, and its texts share their
// memory: whoever keeps one for long keeps a clone.
func Decode(data []byte) (Event, error) {
	if len(data) > MaxSize {
		return Event{}, fmt.Errorf("%w: %d bytes, at most %d are accepted", ErrInvalid, len(data), MaxSize)
	}
	if e, ok := decodePlain(data); ok {
		return e, e.Validate()
	}
	return decodeJSON(data)
}

func decodeJSON(data []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(data, &e); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return e, e.Validate()
}

// decodePlain reads what Encode writes, and most of what others write. false: encoding/json has
// to decide.
func decodePlain(data []byte) (e Event, ok bool) {
	var texts wire.Texts
	ok = wire.Members(data, func(key, value []byte) bool { return attribute(&e, &texts, key, value) })
	return e, ok
}

func attribute(e *Event, texts *wire.Texts, key, value []byte) bool {
	switch string(key) {
	case "data":
		e.Data = value[:len(value):len(value)]
		return string(value) != "null"
	case "time":
		return value[0] == '"' && e.Time.UnmarshalJSON(value) == nil
	case "sequence":
		return sequence(value, &e.Sequence)
	case "type":
		return typeOf(texts, value, &e.Type)
	case "specversion":
		return known(texts, value, &e.SpecVersion, specVersion)
	case "datacontenttype":
		return known(texts, value, &e.DataContentType, jsonData)
	case "id":
		return texts.Take(value, &e.ID)
	case "source":
		return texts.Take(value, &e.Source)
	case "subject":
		return texts.Take(value, &e.Subject)
	case "epoch":
		return texts.Take(value, &e.Epoch)
	case "environment":
		return texts.Take(value, &e.Environment)
	case "cloud":
		return texts.Take(value, &e.Cloud)
	case "region":
		return texts.Take(value, &e.Region)
	case "team":
		return texts.Take(value, &e.Team)
	case "service":
		return texts.Take(value, &e.Service)
	case "artifact":
		return texts.Take(value, &e.Artifact)
	case "revision":
		return texts.Take(value, &e.Revision)
	case "traceparent":
		return texts.Take(value, &e.TraceParent)
	}
	return !mistakable(key)
}

// known reads a text that is nearly always the same one, without a copy of it.
func known(texts *wire.Texts, value []byte, into *string, usual string) bool {
	if len(value) == len(usual)+2 && value[0] == '"' && string(value[1:len(value)-1]) == usual {
		*into = usual
		return true
	}
	return texts.Take(value, into)
}

// mistakable says whether encoding/json might take an unknown name for one of the attributes, as it
// does whatever the case of letters. Attributes of CloudEvents are lower case ASCII.
func mistakable(key []byte) bool {
	for _, c := range key {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return true
		}
	}
	return false
}

var types = func() map[string]Type {
	out := make(map[string]Type, len(Types))
	for _, t := range Types {
		out[string(t)] = t
	}
	return out
}()

// typeOf gives known types the text of their constant.
func typeOf(texts *wire.Texts, value []byte, into *Type) bool {
	if len(value) > 2 && value[0] == '"' {
		if t, ok := types[string(value[1:len(value)-1])]; ok {
			*into = t
			return true
		}
	}
	var text string
	ok := texts.Take(value, &text)
	*into = Type(text)
	return ok
}

// sequence reads a number in a string, of which no digit can overflow.
func sequence(value []byte, into *uint64) bool {
	if len(value) < 3 || len(value) > 2+19 || value[0] != '"' || value[1] == '0' && len(value) > 3 {
		return false
	}
	var n uint64
	for _, c := range value[1 : len(value)-1] {
		if c < '0' || c > '9' {
			return false
		}
		n = 10*n + uint64(c-'0')
	}
	*into = n
	return true
}
