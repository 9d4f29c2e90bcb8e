// Command fairway asks the hub about the fleet and installs Fairway. It also runs as
// `kubectl fairway` and `flux fairway`.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, &shell{
		name:    calledAs(os.Args[0]),
		version: version,
		server:  os.Getenv("FAIRWAY_SERVER"),
		env:     os.Getenv,
		now:     time.Now,
		zone:    time.Local,
		colour:  term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		columns: columns(os.Stderr),
	}, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program but the process: 0 only when what was asked for is true.
func run(ctx context.Context, sh *shell, args []string, out, errOut io.Writer) int {
	conn := newConnection(sh)
	defer conn.close()
	root := newRoot(sh, conn)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	if err := root.ExecuteContext(ctx); err != nil {
		if ctx.Err() != nil {
			return 130 // interrupted before it was done, as shells say it
		}
		message, fix := explain(err)
		fmt.Fprintln(errOut, "✗ "+message)
		if fix != "" {
			fmt.Fprintln(errOut, "► "+fix)
		}
		return 1
	}
	return 0
}

// calledAs is how the user wrote the command: a program named kubectl-fairway is a plugin.
func calledAs(program string) string {
	base := strings.TrimSuffix(filepath.Base(program), ".exe")
	for _, host := range []string{"kubectl", "flux"} {
		if base == host+"-fairway" {
			return host + " fairway"
		}
	}
	return "fairway"
}

// columns tells how wide a terminal is; nil when the file is none that lines can be replaced on.
func columns(file *os.File) func() int {
	if !term.IsTerminal(int(file.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return func() int {
		width, _, err := term.GetSize(int(file.Fd()))
		if err != nil {
			return 80
		}
		return width
	}
}
