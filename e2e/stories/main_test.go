// Package stories tells what users need, one file a story, over one whole fleet of real parts:
// a platform cluster, an AWS and an Azure cluster through Cluster API, and an acquired one.
package stories

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/fairway-dev/fairway/e2e/fleet"
)

// heartbeat of the stories' fleet: short, so that silence shows soon.
const heartbeat = 5 * time.Second

// bank is the fleet that all stories share. Each story leaves it Ready.
var bank *fleet.Fleet

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "stories:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	bank, err = fleet.Up(ctx, fleet.Options{Name: "stories", Progress: os.Stderr, Heartbeat: heartbeat})
	if err != nil {
		return 1, err
	}
	defer func() {
		if code != 0 {
			fmt.Fprintln(os.Stderr, "logs of every process and container are in", bank.Dir)
		}
		if downErr := bank.Down(); downErr != nil && err == nil {
			err = downErr
		}
	}()
	return m.Run(), nil
}

// eventually polls check until it says that what is wanted holds, and fails the test with the
// last state that check returned when limit has passed.
func eventually(t *testing.T, limit time.Duration, want string, check func(ctx context.Context) (done bool, state string)) {
	t.Helper()
	began := time.Now()
	if err := fleet.Await(t.Context(), limit, want, check); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: after %s", want, time.Since(began).Round(10*time.Millisecond))
}
