// Command processnode is a Kubernetes node that runs pods of known images as local processes in namespaces of their own,
// under their own service accounts, from the manifests that were applied. README.md says what it does and does not do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/sandbox"
)

func main() {
	sandbox.Main(os.Args)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	switch err := start(ctx, os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "processnode:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	keepUser, err := userMode()
	if err != nil {
		return err
	}
	if keepUser {
		slog.Info("The user namespace has one user only: pods keep it, and files are not given to their groups")
	}
	n, err := newNode(o, keepUser)
	if err != nil {
		return err
	}
	return n.run(ctx)
}

// userMode says whether pods have to run as the node's own user.
func userMode() (keep bool, err error) {
	if os.Geteuid() != 0 {
		return false, errors.New("must be root, or root of a user namespace as from `unshare --user --map-root-user`")
	}
	users, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return false, fmt.Errorf("read users of this namespace: %w", err)
	}
	return sandbox.SingleUser(string(users)), nil
}
