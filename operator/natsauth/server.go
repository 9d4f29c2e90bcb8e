package natsauth

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"time"

	"github.com/nats-io/jwt/v2"
)

// AccountName is the name of the account that all events live in.
const AccountName = "FLEET"

// ErrToken is wrapped where a token cannot be read or its signature does not hold.
var ErrToken = errors.New("NATS token is not valid")

// Server is what a NATS server in operator mode needs to know a fleet's users.
type Server struct {
	OperatorJWT string
	AccountJWT  string
	SystemJWT   string
}

// Server makes the tokens of a server. revoked maps users' public keys to the time until which
// their credentials count for nothing: tokens issued at that time or before it are refused, and
// their connections closed. The same input gives the same claims, though not the same bytes, since
// tokens carry their time of issue: compare with Same before replacing what is in use.
func (k *Keys) Server(revoked map[string]time.Time) (Server, error) {
	operator := jwt.NewOperatorClaims(publicOf(k.operator))
	operator.Name = "fairway"
	operator.SystemAccount = publicOf(k.system)
	operatorJWT, err := operator.Encode(k.operator)
	if err != nil {
		return Server{}, fmt.Errorf("sign operator token: %w", err)
	}
	systemJWT, err := jwtOfSystem(k)
	if err != nil {
		return Server{}, fmt.Errorf("sign system account token: %w", err)
	}
	account, err := accountClaims(publicOf(k.account), revoked)
	if err != nil {
		return Server{}, err
	}
	accountJWT, err := account.Encode(k.operator)
	if err != nil {
		return Server{}, fmt.Errorf("sign account token: %w", err)
	}
	return Server{OperatorJWT: operatorJWT, AccountJWT: accountJWT, SystemJWT: systemJWT}, nil
}

// jwtOfSystem makes the system account: without JetStream limits, as a server demands of it.
func jwtOfSystem(k *Keys) (string, error) {
	system := jwt.NewAccountClaims(publicOf(k.system))
	system.Name = "SYS"
	return system.Encode(k.operator)
}

func accountClaims(public string, revoked map[string]time.Time) (*jwt.AccountClaims, error) {
	account := jwt.NewAccountClaims(public)
	account.Name = AccountName
	account.Limits.JetStreamLimits = jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit,
	}
	for user, since := range revoked {
		// "*" would revoke everybody.
		if !validUserKey(user) {
			return nil, fmt.Errorf("revoke user: %q is not a user's public key", user)
		}
		account.RevokeAt(user, since)
	}
	return account, nil
}

// Same says whether two servers' tokens grant and revoke the same, whenever they were issued. It
// is false when a token of either cannot be read.
func (s Server) Same(other Server) bool {
	return sameClaims(s.OperatorJWT, other.OperatorJWT) &&
		sameClaims(s.AccountJWT, other.AccountJWT) &&
		sameClaims(s.SystemJWT, other.SystemJWT)
}

func sameClaims(a, b string) bool {
	left, err := timeless(a)
	if err != nil {
		return false
	}
	right, err := timeless(b)
	return err == nil && reflect.DeepEqual(left, right)
}

// timeless reads a token's claims without its time of issue and what depends on that.
func timeless(token string) (jwt.Claims, error) {
	claims, err := jwt.Decode(token)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	data := claims.Claims()
	data.IssuedAt, data.ID = 0, ""
	return claims, nil
}

// Revocations reads back whom an account's token revokes, so that its holder needs no other record
// of it.
func Revocations(accountJWT string) (map[string]time.Time, error) {
	account, err := jwt.DecodeAccountClaims(accountJWT)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	revoked := make(map[string]time.Time, len(account.Revocations))
	for user, seconds := range maps.All(account.Revocations) {
		revoked[user] = time.Unix(seconds, 0)
	}
	return revoked, nil
}
