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
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"golang.org/x/crypto/ssh"

	"github.com/fairway-dev/fairway/operator/gitrepo/gittest"
)

const password = "correct horse"

// sshKey is a private key as ssh-keygen writes it, and settings with which Git knows its other half.
func sshKey(t *testing.T, key crypto.Signer, password string) (private []byte, settings []string) {
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
	return pem.EncodeToMemory(block), []string{"-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile=" + signers}
}

// openpgpKey is a private key as gpg exports it, and settings with which Git knows its other half.
func openpgpKey(t *testing.T, password string) (private []byte, settings []string) {
	t.Helper()
	gpg, err := exec.LookPath("gpg")
	if err != nil {
		t.Skip("gpg is needed to verify:", err)
	}
	entity, err := openpgp.NewEntity("Fairway", "", "fairway@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	public := filepath.Join(home, "public")
	if err := os.WriteFile(public, armoredKey(t, openpgp.PublicKeyType, entity.Serialize), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(home, "gpg")
	script := "#!/bin/sh\nexec " + gpg + " --quiet --batch --trust-model always --homedir " + home + " \"$@\"\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), program, "--import", public).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if password != "" {
		if err := entity.EncryptPrivateKeys([]byte(password), nil); err != nil {
			t.Fatal(err)
		}
	}
	return armoredKey(t, openpgp.PrivateKeyType, func(w io.Writer) error { return entity.SerializePrivateWithoutSigning(w, nil) }), []string{"-c", "gpg.program=" + program}
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

// Git itself says that a commit is signed, and by whom, and it does not say so of one that was changed.
func TestCommitsAreSigned(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	inSSH := func(key crypto.Signer, password string) func(*testing.T) ([]byte, []string) {
		return func(t *testing.T) ([]byte, []string) { return sshKey(t, key, password) }
	}
	for name, c := range map[string]struct {
		password string
		key      func(*testing.T) ([]byte, []string)
	}{
		"with an SSH key":                     {"", inSSH(edKey(t), "")},
		"with an SSH key that has a password": {password, inSSH(edKey(t), password)},
		"with an RSA key of SSH":              {"", inSSH(rsaKey, "")},
		"with an OpenPGP key":                 {"", func(t *testing.T) ([]byte, []string) { return openpgpKey(t, "") }},
		"with an OpenPGP key with a password": {password, func(t *testing.T) ([]byte, []string) { return openpgpKey(t, password) }},
	} {
		t.Run(name, func(t *testing.T) {
			private, settings := c.key(t)
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
				gittest.Git(t, dir, append(settings, "verify-commit", commit)...)
			}
			if got := gittest.Git(t, dir, append(settings, "log", "-1", "--format=%G? %GS", "main")...); got != "G fairway@example.com" && got != "G Fairway <fairway@example.com>" {
				t.Errorf("signed: %s", got)
			}
			forged := strings.Replace(gittest.Git(t, dir, "cat-file", "commit", "main"), "Because.", "Forged..", 1)
			path := filepath.Join(t.TempDir(), "forged")
			if err := os.WriteFile(path, []byte(forged+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			hash := gittest.Git(t, dir, "hash-object", "-t", "commit", "-w", path)
			if out, err := gittest.Try(t, dir, append(settings, "verify-commit", hash)...); err == nil {
				t.Errorf("a commit that was changed is called good: %s", out)
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
