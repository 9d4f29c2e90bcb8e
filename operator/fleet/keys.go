package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/eventbus"
	"github.com/fairway-dev/fairway/operator/steps"
)

// mayMakeKeys says what there is to wait for before keys may be made or used: a Fleet that came from another platform has keys
// already.
func (r *Reconciler) mayMakeKeys(ctx context.Context, obj *fleetv1.Fleet) (steps.Outcome, bool) {
	account, err := r.Store.Account(ctx)
	if err != nil && !errors.Is(err, eventbus.ErrNoKeys) {
		return keysFailed(err), true
	}
	return keysElsewhere(obj.Annotations[fleetv1.AnnotationKeys], obj.UID, account)
}

// keysElsewhere decides by the note on the Fleet, its UID and the account of the keys that are here, "" when there are none.
// Keys that a Fleet of this platform has lost are made anew, as whoever deletes them may want.
func keysElsewhere(note string, uid types.UID, account string) (steps.Outcome, bool) {
	of, noted, ok := strings.Cut(note, "/")
	if !ok || types.UID(of) == uid || noted == account {
		return steps.Outcome{}, false
	}
	outcome := steps.Outcome{State: steps.Blocked, Reason: fleetv1.ReasonKeysNotMoved, After: steps.Jitter(addressPoll)}
	if account == "" {
		outcome.Message = fmt.Sprintf("this Fleet came from another platform, and its keys (account %s) have not: bring the Secrets %s and "+
			"fairway-agent-… from there before anything else, or take the annotation %s off to begin with new keys", noted, eventbus.KeysName, fleetv1.AnnotationKeys)
		return outcome, true
	}
	outcome.Message = fmt.Sprintf("this Fleet came from another platform with the keys of account %s, and Secret %s here is of account %s: "+
		"replace it with the one from there, or take the annotation %s off to go on with these", noted, eventbus.KeysName, account, fleetv1.AnnotationKeys)
	return outcome, true
}

// noteKeys notes on the Fleet whose keys it has; the pass writes it.
func (r *Reconciler) noteKeys(ctx context.Context, obj *fleetv1.Fleet) error {
	account, err := r.Store.Account(ctx)
	if err != nil {
		return err
	}
	if obj.Annotations == nil {
		obj.Annotations = map[string]string{}
	}
	obj.Annotations[fleetv1.AnnotationKeys] = string(obj.UID) + "/" + account
	return nil
}
