// Package pki makes the certificates that the hub serves with: one authority of the fleet, and
// serving certificates under it. It keeps nothing; callers store the PEM.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"
)

// Lifetimes of what is made here, and how far back it is valid, for clocks that lag.
const (
	AuthorityLife = 10 * 365 * 24 * time.Hour
	ServingLife   = 365 * 24 * time.Hour
	backdate      = 5 * time.Minute
)

// maxCommonName is the bound that X.520 sets.
const maxCommonName = 64

// Errors of Serving.
var (
	// ErrAuthority: the authority cannot be read, has expired, or its key is another's.
	ErrAuthority = errors.New("certificate authority is not usable")
	// ErrHosts: a serving certificate needs at least one host.
	ErrHosts = errors.New("no hosts to certify")
)

// NewAuthority makes a certificate authority (ECDSA P-256, AuthorityLife) that can sign serving
// certificates and no other authority.
func NewAuthority(now time.Time) (certPEM, keyPEM []byte, err error) {
	template, err := newTemplate("Fairway", now, now.Add(AuthorityLife))
	if err != nil {
		return nil, nil, err
	}
	template.IsCA = true
	template.MaxPathLenZero = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate key: %w", err)
	}
	return sign(template, template, key, key)
}

// Serving makes a server's certificate (ECDSA P-256, ServingLife or what is left of the authority's)
// for DNS names and IP addresses. Errors wrap ErrAuthority or ErrHosts.
func Serving(caCert, caKey []byte, hosts []string, now time.Time) (certPEM, keyPEM []byte, err error) {
	authority, signer, err := loadAuthority(caCert, caKey, now)
	if err != nil {
		return nil, nil, err
	}
	names, addresses := split(hosts)
	if len(names)+len(addresses) == 0 {
		return nil, nil, ErrHosts
	}
	end := now.Add(ServingLife)
	if authority.NotAfter.Before(end) {
		end = authority.NotAfter
	}
	template, err := newTemplate(commonName(names), now, end)
	if err != nil {
		return nil, nil, err
	}
	template.DNSNames, template.IPAddresses = names, addresses
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate key: %w", err)
	}
	return sign(template, authority, key, signer)
}

// NeedsRenewal says whether a serving certificate should be made anew: it cannot be read, less than
// a third of its life is left, it certifies other hosts than these (in any order), or another
// authority signed it.
func NeedsRenewal(certPEM, caCert []byte, hosts []string, now time.Time) bool {
	cert, err := parseCertificate(certPEM)
	if err != nil {
		return true
	}
	authority, err := parseCertificate(caCert)
	if err != nil || cert.CheckSignatureFrom(authority) != nil {
		return true
	}
	life := cert.NotAfter.Sub(cert.NotBefore)
	if now.Before(cert.NotBefore) || cert.NotAfter.Sub(now) < life/3 {
		return true
	}
	names, addresses := split(hosts)
	return !slices.Equal(names, cert.DNSNames) || !slices.EqualFunc(addresses, cert.IPAddresses, net.IP.Equal)
}

func newTemplate(name string, now, end time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-backdate),
		NotAfter:              end,
		BasicConstraintsValid: true,
	}, nil
}

func sign(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) (certPEM, keyPEM []byte, err error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, nil, fmt.Errorf("sign certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}

func loadAuthority(certPEM, keyPEM []byte, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	cert, err := parseCertificate(certPEM)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrAuthority, err)
	}
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, nil, fmt.Errorf("%w: its key is not PEM", ErrAuthority)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: parse key: %w", ErrAuthority, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, fmt.Errorf("%w: the key is not the certificate's", ErrAuthority)
	}
	if !cert.IsCA || now.After(cert.NotAfter) {
		return nil, nil, fmt.Errorf("%w: not an authority, or expired at %s", ErrAuthority, cert.NotAfter.UTC().Format(time.RFC3339))
	}
	return cert, key, nil
}

func parseCertificate(certPEM []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("not a PEM certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse certificate: %w", err)
	}
	return cert, nil
}

// split sorts hosts into DNS names and addresses, each once and in order. Empty ones are left out.
func split(hosts []string) (names []string, addresses []net.IP) {
	sorted := make([]string, 0, len(hosts))
	for _, host := range hosts {
		sorted = append(sorted, strings.ToLower(strings.TrimSpace(host)))
	}
	slices.Sort(sorted)
	for _, host := range slices.Compact(sorted) {
		if address := net.ParseIP(host); address != nil {
			addresses = append(addresses, address)
		} else if host != "" {
			names = append(names, host)
		}
	}
	return names, addresses
}

// commonName is the first name that fits; clients look at the alternative names only.
func commonName(names []string) string {
	for _, name := range names {
		if len(name) <= maxCommonName {
			return name
		}
	}
	return "fairway"
}
