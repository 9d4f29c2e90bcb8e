package kube

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// validity of everything in a cluster's PKI: a run never lasts a year.
const validity = 365 * 24 * time.Hour

// authority signs certificates; it lives in memory only, but for its certificate.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

// pair is a certificate and its key, in PEM.
type pair struct{ certificate, key []byte }

// pki is every key that a cluster's processes need, written to files in dir.
type pki struct {
	dir        string
	ca         *authority // of servers, clients, and the node
	frontProxy *authority // of aggregated API servers' callers
}

// newPKI makes the keys of a cluster and its node and writes them to dir, named as the flags in components.go ask.
func newPKI(dir, cluster, node string) (*pki, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create PKI folder: %w", err)
	}
	ca, err := newAuthority(cluster + "-ca")
	if err != nil {
		return nil, err
	}
	frontProxy, err := newAuthority(cluster + "-front-proxy-ca")
	if err != nil {
		return nil, err
	}
	p := &pki{dir: dir, ca: ca, frontProxy: frontProxy}
	return p, errors.Join(
		p.writeFile("ca.crt", ca.pem), p.writeFile("front-proxy-ca.crt", frontProxy.pem),
		p.issue("apiserver", ca, serving("kube-apiserver",
			"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
			"127.0.0.1", firstServiceIP)),
		p.issue("apiserver-kubelet-client", ca, clientCertificate("kube-apiserver-kubelet-client", "system:masters")),
		p.issue("front-proxy-client", frontProxy, clientCertificate(frontProxyName)),
		p.issue("node", ca, serving("system:node:"+node, node, "localhost", "127.0.0.1")),
		p.writeServiceAccountKey(),
	)
}

// newAuthority makes a self-signed ECDSA P-256 authority.
func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key of %s: %w", name, err)
	}
	template := template(name)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", name, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	return &authority{certificate: certificate, key: key, pem: encode("CERTIFICATE", der)}, nil
}

// sign makes a new key and a certificate for it.
func (a *authority) sign(t *x509.Certificate) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, fmt.Errorf("generate key of %s: %w", t.Subject.CommonName, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.certificate, key.Public(), a.key)
	if err != nil {
		return pair{}, fmt.Errorf("sign %s: %w", t.Subject.CommonName, err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return pair{}, fmt.Errorf("encode key of %s: %w", t.Subject.CommonName, err)
	}
	return pair{certificate: encode("CERTIFICATE", der), key: encode("EC PRIVATE KEY", keyDER)}, nil
}

func template(name string, groups ...string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		// Unique enough: the authority lives for one run.
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name, Organization: groups},
		NotBefore:    now.Add(-time.Minute), NotAfter: now.Add(validity),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

func serving(name string, hosts ...string) *x509.Certificate {
	t := template(name)
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, host)
		}
	}
	return t
}

func clientCertificate(name string, groups ...string) *x509.Certificate {
	t := template(name, groups...)
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return t
}

// issue signs a certificate and writes <name>.crt and <name>.key.
func (p *pki) issue(name string, by *authority, t *x509.Certificate) error {
	signed, err := by.sign(t)
	if err != nil {
		return err
	}
	return errors.Join(p.writeFile(name+".crt", signed.certificate), p.writeFile(name+".key", signed.key))
}

// writeServiceAccountKey makes the key that signs service account tokens.
func (p *pki) writeServiceAccountKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("generate service account key: %w", err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode service account key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encode service account key: %w", err)
	}
	return errors.Join(
		p.writeFile("service-account.key", encode("EC PRIVATE KEY", private)),
		p.writeFile("service-account.pub", encode("PUBLIC KEY", public)),
	)
}

func (p *pki) path(name string) string { return filepath.Join(p.dir, name) }

func (p *pki) writeFile(name string, data []byte) error {
	if err := os.WriteFile(p.path(name), data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// NewServer makes a certificate for a TLS server of the bench, by an authority of its own, and
// returns the authority's certificate in PEM.
func NewServer(name string, hosts ...string) (ca []byte, certificate tls.Certificate, err error) {
	authority, err := newAuthority(name + "-ca")
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	signed, err := authority.sign(serving(name, hosts...))
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	certificate, err = tls.X509KeyPair(signed.certificate, signed.key)
	if err != nil {
		return nil, tls.Certificate{}, fmt.Errorf("load certificate of %s: %w", name, err)
	}
	return authority.pem, certificate, nil
}
