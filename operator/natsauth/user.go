package natsauth

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/fairway-dev/fairway/api/event"
)

// Errors of OwnsUser, beside ErrToken.
var (
	// ErrForeign: the credentials were signed by another account.
	ErrForeign = errors.New("NATS credentials are not of this fleet")
	// ErrOutdated: they are of this fleet, and their rights are not those that it grants now.
	ErrOutdated = errors.New("NATS credentials have the rights of another version")
)

// User is one identity on the event bus.
type User struct {
	Name      string
	PublicKey string
	Creds     []byte    // a NATS credentials file: the token and the seed that proves it
	Expires   time.Time // to the second; zero: never

	// InboxPrefix is the only reply prefix that the user may subscribe. Empty: any.
	InboxPrefix string
}

// Agent makes the user of a cluster's agent: it publishes the cluster's own events and heartbeats,
// hears the cluster's commands and answers each once. It reads nobody's events and administers no
// stream.
func (k *Keys) Agent(cluster string, expires time.Time) (User, error) {
	if !event.ValidCluster(cluster) {
		return User{}, fmt.Errorf("mint agent: %q is not a cluster id", cluster)
	}
	if expires.IsZero() {
		return User{}, errors.New("mint agent: an agent's credentials must expire")
	}
	return k.mint(grantOfAgent(cluster), expires)
}

// Hub makes the user of the hub: everything in the account, for as long as it is not revoked.
func (k *Keys) Hub() (User, error) { return k.mint(grantOfHub(), time.Time{}) }

// Operator makes the user of the operator: it reads the streams, publishes the platform's own
// events and sends commands, for as long as it is not revoked.
func (k *Keys) Operator() (User, error) { return k.mint(grantOfOperator(), time.Time{}) }

// Reader makes a user that reads events and nothing else, for a dashboard. name has the form of a
// cluster id, and is the name of the only durable consumer that it can acknowledge and delete. Reading
// means making consumers: a reader is trusted not to make one that delivers elsewhere than to itself,
// and not to read by another's, which NATS cannot forbid.
func (k *Keys) Reader(name string, expires time.Time) (User, error) {
	if !event.ValidCluster(name) {
		return User{}, fmt.Errorf("mint reader: %q must be 1 to 63 lower-case letters, digits and dashes", name)
	}
	if expires.IsZero() {
		return User{}, errors.New("mint reader: a reader's credentials must expire")
	}
	return k.mint(grantOfReader(name), expires)
}

func (k *Keys) mint(g grant, expires time.Time) (User, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return User{}, fmt.Errorf("create user key: %w", err)
	}
	claims := jwt.NewUserClaims(publicOf(pair))
	claims.Name = g.name
	claims.Tags.Add(roleTag + string(g.role))
	claims.Permissions = g.permissions
	claims.NatsLimits = g.limits
	if !expires.IsZero() {
		claims.Expires = expires.Unix()
	}
	token, err := claims.Encode(k.account)
	if err != nil {
		return User{}, fmt.Errorf("sign user token: %w", err)
	}
	creds, err := jwt.FormatUserConfig(token, seedOf(pair))
	if err != nil {
		return User{}, fmt.Errorf("write credentials: %w", err)
	}
	return User{
		Name: g.name, PublicKey: claims.Subject, Creds: creds,
		Expires: expiry(claims), InboxPrefix: g.inbox,
	}, nil
}

// OwnsUser reads credentials that one of the methods above wrote. cluster is empty unless they are
// an agent's; expires is zero when they never do. It does not say whether they have expired or
// were revoked. Errors wrap ErrToken, ErrForeign or ErrOutdated; with ErrOutdated the other
// results are set.
func (k *Keys) OwnsUser(creds []byte) (publicKey string, cluster string, expires time.Time, err error) {
	claims, err := decodeUser(creds)
	if err != nil {
		return "", "", time.Time{}, err
	}
	if claims.Issuer != publicOf(k.account) {
		return "", "", time.Time{}, fmt.Errorf("%w: they were issued by %s", ErrForeign, claims.Issuer)
	}
	g, known := grantOf(claims)
	if known && g.role == roleAgent {
		cluster = g.name
	}
	if !known || !reflect.DeepEqual(g.permissions, claims.Permissions) || g.limits != claims.NatsLimits {
		return claims.Subject, cluster, expiry(claims), fmt.Errorf("%w: user %q", ErrOutdated, claims.Name)
	}
	return claims.Subject, cluster, expiry(claims), nil
}

// decodeUser reads the token of a credentials file and checks that the seed beside it proves it.
func decodeUser(creds []byte) (*jwt.UserClaims, error) {
	token, err := jwt.ParseDecoratedJWT(creds)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	claims, err := jwt.DecodeUserClaims(strings.TrimSpace(token))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	pair, err := jwt.ParseDecoratedUserNKey(creds)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if publicOf(pair) != claims.Subject {
		return nil, fmt.Errorf("%w: the seed is not the token's", ErrToken)
	}
	return claims, nil
}

func expiry(claims *jwt.UserClaims) time.Time {
	if claims.Expires == 0 {
		return time.Time{}
	}
	return time.Unix(claims.Expires, 0)
}

func validUserKey(public string) bool { return nkeys.IsValidPublicUserKey(public) }
