package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

var (
	now   = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	hosts = []string{"fairway-hub", "fairway-hub.fairway-system.svc.cluster.local", "localhost", "127.0.0.1", "::1"}
)

func authority(t *testing.T, at time.Time) (cert, key []byte) {
	t.Helper()
	cert, key, err := NewAuthority(at)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func serving(t *testing.T, caCert, caKey []byte, names []string, at time.Time) (cert, key []byte) {
	t.Helper()
	cert, key, err := Serving(caCert, caKey, names, at)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func parse(t *testing.T, certPEM []byte) *x509.Certificate {
	t.Helper()
	cert, err := parseCertificate(certPEM)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestClientsTrustWhatIsServed(t *testing.T) {
	caCert, caKey := authority(t, now)
	otherCert, _ := authority(t, now)
	cert, key := serving(t, caCert, caKey, hosts, now)
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		t.Fatalf("the key is not the certificate's: %v", err)
	}
	longName := strings.Repeat("a", 60) + ".elb.eu-west-1.amazonaws.com"
	longCert, _ := serving(t, caCert, caKey, []string{longName}, now)
	for _, c := range []struct {
		name  string
		cert  []byte
		roots []byte
		host  string
		at    time.Time
		usage x509.ExtKeyUsage
		good  bool
	}{
		{"by its name", cert, caCert, "fairway-hub", now, x509.ExtKeyUsageServerAuth, true},
		{"by its name in other letters", cert, caCert, "Fairway-Hub", now, x509.ExtKeyUsageServerAuth, true},
		{"by its address", cert, caCert, "127.0.0.1", now, x509.ExtKeyUsageServerAuth, true},
		{"by its address of version 6", cert, caCert, "[::1]", now, x509.ExtKeyUsageServerAuth, true},
		{"by a name too long for a common name", longCert, caCert, longName, now, x509.ExtKeyUsageServerAuth, true},
		{"by a clock that lags a little", cert, caCert, "localhost", now.Add(-time.Minute), x509.ExtKeyUsageServerAuth, true},
		{"on its last day", cert, caCert, "localhost", now.Add(ServingLife - time.Hour), x509.ExtKeyUsageServerAuth, true},
		{"not by another name", cert, caCert, "example.com", now, x509.ExtKeyUsageServerAuth, false},
		{"not under another authority", cert, otherCert, "localhost", now, x509.ExtKeyUsageServerAuth, false},
		{"not after its end", cert, caCert, "localhost", now.Add(ServingLife + time.Hour), x509.ExtKeyUsageServerAuth, false},
		{"not as a client", cert, caCert, "localhost", now, x509.ExtKeyUsageClientAuth, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(c.roots)
			_, err := parse(t, c.cert).Verify(x509.VerifyOptions{
				DNSName: c.host, Roots: roots, CurrentTime: c.at, KeyUsages: []x509.ExtKeyUsage{c.usage},
			})
			if (err == nil) != c.good {
				t.Errorf("verify: %v, want good = %v", err, c.good)
			}
		})
	}
}

func TestAServingCertificateSignsNothing(t *testing.T) {
	caCert, caKey := authority(t, now)
	cert, key := serving(t, caCert, caKey, hosts, now)
	if _, _, err := Serving(cert, key, hosts, now); !errors.Is(err, ErrAuthority) {
		t.Errorf("error %v, want ErrAuthority", err)
	}
	if ca := parse(t, caCert); !ca.IsCA || !ca.MaxPathLenZero || !ca.NotAfter.Equal(now.Add(AuthorityLife)) {
		t.Errorf("authority: CA %v, may make authorities %v, until %v", ca.IsCA, !ca.MaxPathLenZero, ca.NotAfter)
	}
}

func TestServingRefuses(t *testing.T) {
	caCert, caKey := authority(t, now)
	_, otherKey := authority(t, now)
	garbage := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	for _, c := range []struct {
		name      string
		cert, key []byte
		hosts     []string
		at        time.Time
		want      error
	}{
		{"no hosts", caCert, caKey, nil, now, ErrHosts},
		{"only empty hosts", caCert, caKey, []string{"", " "}, now, ErrHosts},
		{"another authority's key", caCert, otherKey, hosts, now, ErrAuthority},
		{"an authority that is no PEM", []byte("x"), caKey, hosts, now, ErrAuthority},
		{"an authority that is no certificate", garbage, caKey, hosts, now, ErrAuthority},
		{"a key that is no PEM", caCert, nil, hosts, now, ErrAuthority},
		{"an authority that has expired", caCert, caKey, hosts, now.Add(AuthorityLife + time.Hour), ErrAuthority},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, err := Serving(c.cert, c.key, c.hosts, c.at); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
}

func TestNoCertificateOutlivesItsAuthority(t *testing.T) {
	caCert, caKey := authority(t, now)
	late := now.Add(AuthorityLife - 24*time.Hour)
	cert, _ := serving(t, caCert, caKey, hosts, late)
	if end := parse(t, cert).NotAfter; end.After(now.Add(AuthorityLife)) {
		t.Errorf("it ends at %v, after its authority", end)
	}
}

func TestNeedsRenewal(t *testing.T) {
	caCert, caKey := authority(t, now)
	otherCert, _ := authority(t, now)
	cert, _ := serving(t, caCert, caKey, hosts, now)
	reversed := []string{"::1", "127.0.0.1", "LOCALHOST", "fairway-hub.fairway-system.svc.cluster.local", "fairway-hub", "fairway-hub"}
	third := ServingLife / 3
	for _, c := range []struct {
		name  string
		cert  []byte
		ca    []byte
		hosts []string
		at    time.Time
		want  bool
	}{
		{"a new one stays", cert, caCert, hosts, now, false},
		{"the order of hosts, their case and repeats do not matter", cert, caCert, reversed, now, false},
		{"one with more than a third of its life stays", cert, caCert, hosts, now.Add(ServingLife - third - time.Hour), false},
		{"one with less than a third of its life goes", cert, caCert, hosts, now.Add(ServingLife - third + time.Hour), true},
		{"one that has expired goes", cert, caCert, hosts, now.Add(ServingLife + time.Hour), true},
		{"one from the future goes", cert, caCert, hosts, now.Add(-time.Hour), true},
		{"one more name", cert, caCert, append([]string{"events.example.com"}, hosts...), now, true},
		{"one name less", cert, caCert, hosts[1:], now, true},
		{"another address", cert, caCert, append(append([]string{}, hosts[:4]...), "10.0.0.1"), now, true},
		{"another authority", cert, otherCert, hosts, now, true},
		{"an authority that cannot be read", cert, nil, hosts, now, true},
		{"none at all", nil, caCert, hosts, now, true},
		{"bytes that are no certificate", []byte("x"), caCert, hosts, now, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := NeedsRenewal(c.cert, c.ca, c.hosts, c.at); got != c.want {
				t.Errorf("NeedsRenewal = %v, want %v", got, c.want)
			}
		})
	}
}

func TestATLSServerCanUseIt(t *testing.T) {
	caCert, caKey := authority(t, time.Now())
	cert, key := serving(t, caCert, caKey, []string{"127.0.0.1"}, time.Now())
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(caCert)
	left, right := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- tls.Server(left, &tls.Config{Certificates: []tls.Certificate{pair}}).Handshake() }()
	if err := tls.Client(right, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}).Handshake(); err != nil {
		t.Errorf("client: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("server: %v", err)
	}
}
