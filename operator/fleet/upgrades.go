package fleet

import (
	"sync"

	"github.com/fairway-dev/fairway/operator/rings"
)

// Upgrades are the last words of the Fleet's reconciler on which version of Flux each cluster may have. They
// are kept in memory: after a restart the first pass says them anew, and until then clusters keep what they
// have. The zero value has none. It is safe for concurrent use.
type Upgrades struct {
	// Changed is called with the id of every cluster whose word is another one; nil: nobody is.
	Changed func(cluster string)

	mu    sync.Mutex
	words map[string]rings.Word
}

// Word is the word on a cluster; false when there is none yet.
func (u *Upgrades) Word(cluster string) (rings.Word, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	word, ok := u.words[cluster]
	return word, ok
}

// say replaces the words.
func (u *Upgrades) say(words map[string]rings.Word) {
	u.mu.Lock()
	before := u.words
	u.words = words
	u.mu.Unlock()
	if u.Changed == nil {
		return
	}
	for cluster, word := range words {
		if was, ok := before[cluster]; !ok || was != word {
			u.Changed(cluster)
		}
	}
}
