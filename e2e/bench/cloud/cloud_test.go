package cloud

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestUntilTurn(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	const lifetime, overlap = 2 * time.Minute, 30 * time.Second
	for name, c := range map[string]struct {
		expires time.Time
		delay   time.Duration
		want    time.Duration
	}{
		"without a token one is written at once":                   {want: 0},
		"without a token a delay changes nothing":                  {delay: time.Hour, want: 0},
		"a new token serves until the overlap":                     {expires: now.Add(lifetime), want: 90 * time.Second},
		"a token in the overlap is turned":                         {expires: now.Add(overlap), want: 0},
		"an expired token is turned":                               {expires: now.Add(-time.Hour), want: 0},
		"a delay lets the token serve longer":                      {expires: now.Add(overlap), delay: 20 * time.Second, want: 20 * time.Second},
		"a delay of more than the overlap leaves an expired token": {expires: now, delay: 40 * time.Second, want: 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if got := untilTurn(c.expires, overlap, c.delay, now); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestATokenSaysWhoForWhomAndUntilWhen(t *testing.T) {
	i, err := startIssuer(t.Context(), "aws", slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.http.Close(); err != nil {
			t.Error(err)
		}
	})
	now := time.Now()
	raw, err := i.token("aws:role:eks", "eks", []string{administrators}, now, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	if err := token.Claims(i.keys.Keys[0], &claims); err != nil {
		t.Fatal(err)
	}
	expected := jwt.Expected{Issuer: i.url, Subject: "aws:role:eks", AnyAudience: jwt.Audience{"eks"}, Time: now}
	if err := claims.ValidateWithLeeway(expected, 0); err != nil {
		t.Errorf("now: %v", err)
	}
	if err := claims.ValidateWithLeeway(expected.WithTime(now.Add(2*time.Minute)), 0); err == nil {
		t.Error("the token is valid after it expired")
	}
	expected.AnyAudience = jwt.Audience{"other"}
	if err := claims.ValidateWithLeeway(expected, 0); err == nil {
		t.Error("the token is valid for another cluster")
	}
}

func TestPlaceIsReadFromWhatTheUserApplied(t *testing.T) {
	type place struct{ Region, Zone, Prefix string }
	placeOf := func(p provider, objects []*unstructured.Unstructured) place {
		for _, o := range objects {
			if o.GetKind() == p.controlPlane().Kind {
				region, zone, prefix := p.place(o)
				return place{region, zone, prefix}
			}
		}
		return place{}
	}
	got := map[string]place{
		"aws":   placeOf(aws{}, EKS(Request{Name: "a", Namespace: "n", Region: "eu-west-1"})),
		"azure": placeOf(azure{}, AKS(Request{Name: "b", Namespace: "n", Region: "westeurope", Account: "sub"})),
	}
	want := map[string]place{
		"aws": {"eu-west-1", "eu-west-1a", "aws:///eu-west-1a/i-"},
		"azure": {
			"westeurope", "westeurope-1",
			"azure:///subscriptions/sub/resourceGroups/b/providers/Microsoft.Compute/virtualMachineScaleSets/aks-pool0-vmss/virtualMachines/",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("place (-want +got):\n%s", diff)
	}
}
