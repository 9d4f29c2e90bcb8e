package workloadcluster

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// paced is a pace of a second that notes whom it wakes.
func paced() (p *pace, woken func() []string) {
	var ids []string
	p = &pace{every: time.Second, wake: func(id string) { ids = append(ids, id) }}
	return p, func() []string { return ids }
}

func line(t *testing.T, p *pace, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if p.begin(id) {
			t.Errorf("%s need not wait", id)
		}
	}
}

// passes lets time pass in a bubble, where it takes none.
func passes(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // in a bubble, where it takes no time
	synctest.Wait()
}

func expect(t *testing.T, woken func() []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, woken()); diff != "" {
		t.Errorf("woken (-want +have):\n%s", diff)
	}
}

func TestPaceCallsOneAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, woken := paced()
		if !p.begin("a") {
			t.Error("the first has to wait")
		}
		line(t, p, "b", "c", "b", "d")
		passes(999 * time.Millisecond)
		expect(t, woken)
		passes(time.Millisecond)
		expect(t, woken, "b")
		line(t, p, "e", "c") // nobody comes before those that wait
		if !p.begin("b") {
			t.Error("b has to wait when it is its turn")
		}
		passes(2 * time.Second)
		expect(t, woken, "b", "c", "d")
		passes(time.Hour)
		expect(t, woken, "b", "c", "d", "e")
		if !p.begin("f") {
			t.Error("f has to wait, and nobody else does")
		}
	})
}

func TestPaceCallsTheNextWhenOneHasAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, woken := paced()
		p.begin("a")
		p.answered() // nobody waits
		line(t, p, "b", "c", "d")
		p.answered()
		expect(t, woken, "b")
		passes(time.Second)
		expect(t, woken, "b", "c")
	})
}

func TestPaceForgetsAndAdmits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, woken := paced()
		p.begin("a")
		line(t, p, "b", "c")
		p.forget("b")
		p.admit("d")
		if !p.begin("d") {
			t.Error("d was admitted and has to wait")
		}
		passes(time.Second)
		expect(t, woken, "c")
		p.forget("c")
		line(t, p, "c")
	})
}
