// Package natsauth mints the NATS identities of a fleet: one operator, one account, and a user for
// every process, allowed exactly what the event contract gives it.
//
// Nothing here talks to Kubernetes or to a NATS server. Keys are made once and kept by the caller;
// everything else is derived from them.
package natsauth

import (
	"errors"
	"fmt"

	"github.com/nats-io/nkeys"
)

// Keys of the Secret that holds a fleet's seeds.
const (
	KeyOperator = "operator.seed"
	KeyAccount  = "account.seed"
	KeySystem   = "system.seed"
)

// ErrKeys is wrapped by LoadKeys when a seed is missing, unreadable, or of another role.
var ErrKeys = errors.New("NATS keys are incomplete")

// Keys are the seeds that a fleet's identities descend from. Whoever holds them can be anybody on
// the fleet's event bus: only the operator reads them.
type Keys struct {
	operator, account, system nkeys.KeyPair
}

// NewKeys makes the keys of a new fleet.
func NewKeys() (*Keys, error) {
	operator, err := nkeys.CreateOperator()
	if err != nil {
		return nil, fmt.Errorf("create operator key: %w", err)
	}
	account, err := nkeys.CreateAccount()
	if err != nil {
		return nil, fmt.Errorf("create account key: %w", err)
	}
	system, err := nkeys.CreateAccount()
	if err != nil {
		return nil, fmt.Errorf("create system account key: %w", err)
	}
	return &Keys{operator: operator, account: account, system: system}, nil
}

// LoadKeys reads what Data wrote. Other keys in data are ignored. An error names every seed that
// is missing or unusable, never its content.
func LoadKeys(data map[string][]byte) (*Keys, error) {
	var errs []error
	load := func(key string, role nkeys.PrefixByte) nkeys.KeyPair {
		pair, err := loadSeed(data[key], role)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
		return pair
	}
	k := &Keys{
		operator: load(KeyOperator, nkeys.PrefixByteOperator),
		account:  load(KeyAccount, nkeys.PrefixByteAccount),
		system:   load(KeySystem, nkeys.PrefixByteAccount),
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrKeys, errors.Join(errs...))
	}
	return k, nil
}

func loadSeed(seed []byte, role nkeys.PrefixByte) (nkeys.KeyPair, error) {
	if len(seed) == 0 {
		return nil, errors.New("missing")
	}
	found, _, err := nkeys.DecodeSeed(seed)
	if err != nil {
		return nil, errors.New("not a seed")
	}
	if found != role {
		return nil, fmt.Errorf("a seed of role %s, not %s", found, role)
	}
	pair, err := nkeys.FromSeed(seed)
	if err != nil {
		return nil, errors.New("not a seed")
	}
	return pair, nil
}

// Data is what LoadKeys reads, to be kept in a Secret.
func (k *Keys) Data() map[string][]byte {
	return map[string][]byte{
		KeyOperator: seedOf(k.operator),
		KeyAccount:  seedOf(k.account),
		KeySystem:   seedOf(k.system),
	}
}

// Account is the public key of the account that the fleet's streams are in: the same for as long as the keys are.
func (k *Keys) Account() string { return publicOf(k.account) }

// seedOf is a copy of a pair's seed. Pairs here are made from seeds, so they always have one.
func seedOf(pair nkeys.KeyPair) []byte {
	seed, err := pair.Seed()
	if err != nil {
		panic(fmt.Sprintf("natsauth: a key pair without a seed: %v", err))
	}
	return append([]byte(nil), seed...)
}

// publicOf is a pair's public key. Pairs here are made from seeds, so they always have one.
func publicOf(pair nkeys.KeyPair) string {
	public, err := pair.PublicKey()
	if err != nil {
		panic(fmt.Sprintf("natsauth: a key pair without a public key: %v", err))
	}
	return public
}
