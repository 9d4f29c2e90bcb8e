package remote

import (
	"errors"
	"net/http"
	"testing"
	"time"
)

// gated is a server that answers once it is told to.
func gated(t *testing.T) (open func(), kubeconfig []byte) {
	gate := make(chan struct{})
	_, kubeconfig = server(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-gate:
			answer(w, r)
		case <-r.Context().Done():
		}
	})
	return func() { close(gate) }, kubeconfig
}

// waitingPool tells on a channel who has answered.
func waitingPool(o Options) (*Pool, <-chan string) {
	answered := make(chan string, 10)
	o.Answered = func(cluster string) { answered <- cluster }
	return NewPool(o), answered
}

func await(t *testing.T, answered <-chan string, want string) {
	t.Helper()
	select {
	case got := <-answered:
		if got != want {
			t.Errorf("%s has answered, want %s", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("nobody tells that %s has answered", want)
	}
}

func TestAClusterThatIsSlowIsWaitedForWithoutItsCaller(t *testing.T) {
	open, slow := gated(t)
	pool, answered := waitingPool(Options{})
	for range 2 { // who asks again meanwhile asks nothing new
		if _, err := pool.Connect(t.Context(), "slow", slow, time.Millisecond); !errors.Is(err, ErrPending) {
			t.Fatalf("got %v, want %v", err, ErrPending)
		}
	}
	open()
	await(t, answered, "slow")
	if c, err := pool.Connect(t.Context(), "slow", slow, 0); err != nil || c.Version != "v1.36.4" {
		t.Errorf("after it has answered: %v, %v", c, err)
	}
	if _, err := pool.Connect(t.Context(), "slow", slow, 0); !errors.Is(err, ErrPending) {
		t.Errorf("an answer counts twice: %v", err)
	}
}

func TestAClusterThatNeverAnswersIsGivenUp(t *testing.T) {
	_, hanging := gated(t)
	pool, answered := waitingPool(Options{AnswerTimeout: 50 * time.Millisecond})
	if _, err := pool.Connect(t.Context(), "dark", hanging, 0); !errors.Is(err, ErrPending) {
		t.Fatalf("got %v, want %v", err, ErrPending)
	}
	await(t, answered, "dark")
	if _, err := pool.Connect(t.Context(), "dark", hanging, 0); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want %v", err, ErrUnreachable)
	}
}

func TestThereIsAnEndToHowManyAreWaitedFor(t *testing.T) {
	open, slow := gated(t)
	_, well := server(t, answer)
	pool, answered := waitingPool(Options{Waiting: 1})
	connect := func(id string, kubeconfig []byte, patience time.Duration) error {
		_, err := pool.Connect(t.Context(), id, kubeconfig, patience)
		return err
	}
	if err := connect("one", slow, 0); !errors.Is(err, ErrPending) {
		t.Fatalf("got %v, want %v", err, ErrPending)
	}
	for name, patience := range map[string]time.Duration{"asked for nothing": 0, "left": time.Millisecond} {
		if err := connect("two", slow, patience); !errors.Is(err, ErrBusy) {
			t.Errorf("one too many that is %s: %v, want %v", name, err, ErrBusy)
		}
	}
	if err := connect("well", well, patient); err != nil {
		t.Errorf("one that answers its caller needs no room: %v", err)
	}
	open()
	await(t, answered, "one")
	await(t, answered, "two") // it is its turn
	if err := connect("two", slow, patient); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

func TestAnAnswerIsOfOneKubeconfig(t *testing.T) {
	_, slow := gated(t)
	_, well := server(t, answer)
	pool := quickPool()
	if _, err := pool.Connect(t.Context(), "c", slow, 0); !errors.Is(err, ErrPending) {
		t.Fatalf("got %v, want %v", err, ErrPending)
	}
	if _, err := pool.Connect(t.Context(), "c", well, patient); err != nil {
		t.Errorf("another kubeconfig waits for the first one's answer: %v", err)
	}
}

func TestAsked(t *testing.T) {
	open, slow := gated(t)
	pool, answered := waitingPool(Options{})
	expect := func(when string, wantAsked, wantAnswered bool) {
		t.Helper()
		if asked, answered := pool.Asked("slow"); asked != wantAsked || answered != wantAnswered {
			t.Errorf("%s: asked %t, answered %t, want %t and %t", when, asked, answered, wantAsked, wantAnswered)
		}
	}
	expect("at first", false, false)
	if _, err := pool.Connect(t.Context(), "slow", slow, 0); !errors.Is(err, ErrPending) {
		t.Fatalf("got %v, want %v", err, ErrPending)
	}
	expect("while it is waited for", true, false)
	open()
	await(t, answered, "slow")
	expect("when it has answered", true, true)
	if _, err := pool.Connect(t.Context(), "slow", slow, 0); err != nil {
		t.Fatal(err)
	}
	expect("when the answer was taken", false, false)
}
