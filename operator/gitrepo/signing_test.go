package gitrepo

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/crypto/ssh"

	"github.com/fairway-dev/fairway/operator/gitrepo/gittest"
)

const password = "correct horse"

// verifier says who has signed a commit of the repository in dir.
type verifier func(t *testing.T, dir, commit string) (by string, err error)

// sshKey is a private key as ssh-keygen writes it, and Git, which knows its other half.
func sshKey(t *testing.T, key crypto.Signer, password string) (private []byte, verify verifier) {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if password != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(password))
	}
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	signers := filepath.Join(t.TempDir(), "signers")
	line := "fairway@example.com " + string(ssh.MarshalAuthorizedKey(public))
	if err := os.WriteFile(signers, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), func(t *testing.T, dir, commit string) (string, error) {
		settings := []string{"-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile=" + signers}
		if out, err := gittest.Try(t, dir, append(settings, "verify-commit", commit)...); err != nil {
			return out, err
		}
		return gittest.Try(t, dir, append(settings, "log", "-1", "--format=%GS", commit)...)
	}
}

// openpgpKey is a private key as gpg exports it, and go-git, which knows its other half: gpg is not on every machine.
func openpgpKey(t *testing.T, password string) (private []byte, verify verifier) {
	t.Helper()
	entity, err := openpgp.NewEntity("Fairway", "", "fairway@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	public := armoredKey(t, openpgp.PublicKeyType, entity.Serialize)
	if password != "" {
		if err := entity.EncryptPrivateKeys([]byte(password), nil); err != nil {
			t.Fatal(err)
		}
	}
	private = armoredKey(t, openpgp.PrivateKeyType, func(w io.Writer) error { return entity.SerializePrivateWithoutSigning(w, nil) })
	return private, func(t *testing.T, dir, commit string) (string, error) {
		repository, err := git.PlainOpen(dir)
		if err != nil {
			return "", err
		}
		found, err := repository.CommitObject(plumbing.NewHash(gittest.Git(t, dir, "rev-parse", commit)))
		if err != nil {
			return "", err
		}
		signer, err := found.Verify(string(public))
		if err != nil {
			return "", err
		}
		return signer.PrimaryIdentity().UserId.Email, nil
	}
}

func armoredKey(t *testing.T, kind string, serialize func(io.Writer) error) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := armor.Encode(&out, kind, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(serialize(w), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func edKey(t *testing.T) crypto.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

// A commit is signed, and by whom, says who has not made it, and does not say so of one that was changed.
func TestCommitsAreSigned(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	inSSH := func(key crypto.Signer, password string) func(*testing.T) ([]byte, verifier) {
		return func(t *testing.T) ([]byte, verifier) { return sshKey(t, key, password) }
	}
	for name, c := range map[string]struct {
		password string
		key      func(*testing.T) ([]byte, verifier)
	}{
		"with an SSH key":                     {"", inSSH(edKey(t), "")},
		"with an SSH key that has a password": {password, inSSH(edKey(t), password)},
		"with an RSA key of SSH":              {"", inSSH(rsaKey, "")},
		"with an OpenPGP key":                 {"", func(t *testing.T) ([]byte, verifier) { return openpgpKey(t, "") }},
		"with an OpenPGP key with a password": {password, func(t *testing.T) ([]byte, verifier) { return openpgpKey(t, password) }},
	} {
		t.Run(name, func(t *testing.T) {
			private, verify := c.key(t)
			to, dir := server(t)
			to.Auth = Auth{KeySigning: private, KeySigningPassword: []byte(c.password)}
			w := startWriter(t)
			for _, path := range []string{"one", "two"} {
				change := set(path, path)
				change.Message.Body, change.Message.Trailers = "Because.\n\nÜ.", []Trailer{{"Release", "payments/ledger-7k2x9"}}
				if _, err := w.Submit(t.Context(), to, change); err != nil {
					t.Fatal(err)
				}
			}
			for _, commit := range []string{"main", "main~1"} {
				if by, err := verify(t, dir, commit); err != nil || by != "fairway@example.com" {
					t.Errorf("%s is signed by %q: %v", commit, by, err)
				}
			}
			forged := strings.Replace(gittest.Git(t, dir, "cat-file", "commit", "main"), "Because.", "Forged..", 1)
			path := filepath.Join(t.TempDir(), "forged")
			if err := os.WriteFile(path, []byte(forged+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			hash := gittest.Git(t, dir, "hash-object", "-t", "commit", "-w", path)
			if by, err := verify(t, dir, hash); err == nil {
				t.Errorf("a commit that was changed is called good, of %s", by)
			}
		})
	}
}

func TestWhatCannotSignWritesNothing(t *testing.T) {
	to, dir := server(t)
	w := startWriter(t)
	locked, _ := sshKey(t, edKey(t), password)
	for name, auth := range map[string]Auth{
		"a key that cannot be read":          {KeySigning: []byte("x")},
		"an OpenPGP key that cannot be read": {KeySigning: []byte("-----BEGIN PGP PRIVATE KEY BLOCK-----\n")},
		"a key whose password is missing":    {KeySigning: locked},
		"a key whose password is another":    {KeySigning: locked, KeySigningPassword: []byte("wrong")},
		"a public key":                       {KeySigning: []byte("ssh-ed25519 AAAA")},
	} {
		t.Run(name, func(t *testing.T) {
			with := to
			with.Auth = auth
			if _, err := w.Submit(t.Context(), with, set("x", "y")); !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), KeySigning) {
				t.Errorf("%v", err)
			}
		})
	}
	if got := gittest.Git(t, dir, "rev-list", "--count", "main"); got != "1" {
		t.Errorf("%s commits", got)
	}
}
