package outbox

import (
	"encoding/json"
	"fmt"

	"github.com/fairway-dev/fairway/api/event"
)

// keyCluster is where the state keeps what was told of the cluster as a whole. It is no member of
// the inventory: the digest leaves it out. No subject and no episode's id can be this.
const keyCluster = "cluster"

// Member says which part of the state an entry is about; ok is false for what the state does not
// keep. there is false when the entry says that it is gone.
func Member(e *event.Entry) (key string, there, ok bool) {
	switch e.Type.Kind() {
	case event.KindFlux, event.KindWorkload:
		return e.Subject, e.Type != event.FluxRemoved && e.Type != event.WorkloadRemoved, e.Subject != ""
	case event.KindEpisode:
		var data struct {
			ID string `json:"id"`
		}
		err := json.Unmarshal(e.Data, &data)
		return data.ID, e.Type != event.EpisodeResolved, err == nil && data.ID != ""
	case event.KindCluster:
		return keyCluster, true, true
	}
	return "", false, false
}

// news is how events change the state.
type news struct {
	whole bool // what is not in set is gone
	set   map[string]event.Entry
	gone  map[string]bool
}

// learn takes what an event says. A snapshot begins anew with its first part; begins says so.
func (n *news) learn(e *event.Event) (begins bool, err error) {
	if e.Type != event.AgentSnapshot {
		entry := e.Entry()
		n.tell(&entry)
		return false, nil
	}
	var part event.Snapshot
	if err := e.Payload(&part); err != nil {
		return false, fmt.Errorf("read part of snapshot: %w", err)
	}
	if part.Part == 1 {
		*n = news{whole: true}
	}
	for i := range part.Entries {
		n.tell(&part.Entries[i])
	}
	return part.Part == 1, nil
}

func (n *news) tell(e *event.Entry) {
	if n.set == nil {
		n.set, n.gone = map[string]event.Entry{}, map[string]bool{}
	}
	switch key, there, ok := Member(e); {
	case !ok:
	case there:
		delete(n.gone, key)
		n.set[key] = *e
	default:
		delete(n.set, key)
		n.gone[key] = true
	}
}

// inventory is the hash of every member's last entry, and their sum.
type inventory struct {
	sums   map[string]uint64
	digest uint64
}

func (v *inventory) apply(n *news) {
	if n.whole {
		v.sums, v.digest = make(map[string]uint64, len(n.set)), 0
	}
	for key := range n.gone {
		v.remove(key)
	}
	for key, entry := range n.set {
		if key != keyCluster {
			v.put(key, entry.Sum())
		}
	}
}

func (v *inventory) put(key string, sum uint64) {
	v.digest += sum - v.sums[key]
	v.sums[key] = sum
}

func (v *inventory) remove(key string) {
	v.digest -= v.sums[key]
	delete(v.sums, key)
}
