package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/client"
)

// waiter waits until Releases of one team have ended, and shows how far they are.
type waiter struct {
	sh       *shell
	platform releases
	limit    time.Duration // 0: none
	follow   []fleetv1.Release
	screen   *progress
}

// errNotEnded: the time that was given is over.
var errNotEnded = errors.New("it has not ended")

// wait gives the Releases as they ended. It fails unless every one has succeeded on every cluster. When ctx
// ends before, it says that they go on.
func (w *waiter) wait(ctx context.Context, stderr io.Writer, follow []fleetv1.Release) ([]fleetv1.Release, error) {
	w.follow, w.screen = slices.Clone(follow), newProgress(w.sh, stderr)
	limited, cancel := ctx, context.CancelFunc(func() {})
	if w.limit > 0 {
		limited, cancel = context.WithTimeoutCause(ctx, w.limit, errNotEnded)
	}
	defer cancel()
	err := w.untilEnded(limited)
	w.screen.close()
	switch {
	case ctx.Err() != nil:
		w.goesOn(stderr)
		return w.follow, ctx.Err()
	case errors.Is(context.Cause(limited), errNotEnded) && !w.ended():
		w.goesOn(stderr)
		return w.follow, w.late()
	case err != nil:
		return w.follow, err
	}
	return w.follow, verdict(w.sh, stderr, w.follow)
}

// untilEnded reads the Releases and watches them, again and again where the watch breaks.
func (w *waiter) untilEnded(ctx context.Context) error {
	again := wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.1, Steps: 6, Cap: 30 * time.Second}
	pause := again
	for first := true; ; first = false {
		version, err := w.read(ctx)
		if err == nil {
			pause = again
			if w.ended() {
				return nil
			}
			err = w.watch(ctx, version)
		}
		switch {
		case err == nil && w.ended():
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case lost(err), err != nil && first && refusal(err):
			return err
		case err != nil:
			w.screen.say(fmt.Sprintf("the platform cannot be watched: %s; it is tried again", clean(err.Error())))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause.Step()):
		}
	}
}

// refusal is an answer that trying again does not change.
func refusal(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsNotFound(err)
}

// deleted is the error of a Release that is gone.
type deleted struct{ name string }

func (d deleted) Error() string { return "it was deleted" }

func lost(err error) bool { return errors.As(err, new(deleted)) }

// read takes what the Releases are now, and gives the version to watch from.
func (w *waiter) read(ctx context.Context) (version string, err error) {
	team := w.follow[0].Namespace
	var list fleetv1.ReleaseList
	if err := w.platform.List(ctx, &list, kube.InNamespace(team)); err != nil {
		return "", &client.Error{Op: "wait for " + releaseName(&w.follow[0]), Err: err, Fix: fixOfRelease(err, team)}
	}
	for i := range w.follow {
		at := slices.IndexFunc(list.Items, func(r fleetv1.Release) bool { return r.UID == w.follow[i].UID })
		if at < 0 {
			return "", w.gone(&w.follow[i])
		}
		w.follow[i] = list.Items[at]
	}
	w.screen.show(w.follow)
	return list.ResourceVersion, nil
}

func (w *waiter) gone(r *fleetv1.Release) error {
	return &client.Error{Op: "wait for " + releaseName(r), Err: deleted{r.Name},
		Fix: fmt.Sprintf("what runs: %s status %s", w.sh.name, serviceID{r.Namespace, r.Spec.Service})}
}

// watch follows the Releases until all have ended. It returns nil before that when the platform ends the
// watch, as it does from time to time.
func (w *waiter) watch(ctx context.Context, version string) error {
	team := w.follow[0].Namespace
	stream, err := w.platform.Watch(ctx, &fleetv1.ReleaseList{}, kube.InNamespace(team), &kube.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: version}})
	if err != nil {
		return &client.Error{Op: "watch " + releaseName(&w.follow[0]), Err: err, Fix: fixOfRelease(err, team)}
	}
	defer stream.Stop()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-second.C:
			w.screen.tick(w.follow)
		case event, open := <-stream.ResultChan():
			if !open {
				return nil
			}
			if err := w.take(event); err != nil || w.ended() {
				return err
			}
		}
	}
}

// take takes what a watch says.
func (w *waiter) take(event watch.Event) error {
	if event.Type == watch.Error {
		if err := apierrors.FromObject(event.Object); !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return fmt.Errorf("watch releases: %w", err)
		}
		return nil // the platform has forgotten the version; the watch ends, and is begun from a newer one
	}
	r, ok := event.Object.(*fleetv1.Release)
	if !ok {
		return nil // a bookmark
	}
	at := slices.IndexFunc(w.follow, func(have fleetv1.Release) bool { return have.UID == r.UID })
	if at < 0 {
		return nil
	}
	if event.Type == watch.Deleted {
		return w.gone(r)
	}
	w.follow[at] = *r
	w.screen.show(w.follow)
	return nil
}

func (w *waiter) ended() bool {
	return !slices.ContainsFunc(w.follow, func(r fleetv1.Release) bool { return !r.Status.Phase.Final() })
}

// goesOn says, of what has not ended, how to look at it and how to wait again.
func (w *waiter) goesOn(stderr io.Writer) {
	for i := range w.follow {
		if r := &w.follow[i]; !r.Status.Phase.Final() {
			again := fmt.Sprintf("%s status %s", w.sh.name, serviceID{r.Namespace, r.Spec.Service})
			hint(stderr, "%s goes on: %s; to wait again: %s --env %s --wait", releaseName(r), again, again, r.Spec.Environment)
		}
	}
}

// late is the error of a wait that took too long: it says what the Release waits for.
func (w *waiter) late() error {
	for i := range w.follow {
		r := &w.follow[i]
		if r.Status.Phase.Final() {
			continue
		}
		_, _, message := obstacle(r)
		state := sentence(": ", string(phase(r)), message)
		_, command := blocked(w.sh, r)
		return fail("wait for "+releaseName(r), cmp.Or(command, "give it longer with --timeout"), "it has not ended within %s; it is %s", w.limit, state)
	}
	return nil
}
