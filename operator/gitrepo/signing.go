package gitrepo

import (
	"bytes"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"golang.org/x/crypto/ssh"
)

// signer makes a commit's signature, in the form in which Git stores it.
type signer func(commit []byte) (string, error)

// signer is of the key that commits are signed with; nil for none.
func (a Auth) signer() (signer, error) {
	key, password := a[KeySigning], a[KeySigningPassword]
	if len(key) == 0 {
		return nil, nil
	}
	read := sshSigner
	if bytes.HasPrefix(bytes.TrimSpace(key), []byte("-----BEGIN PGP ")) {
		read = openpgpSigner
	}
	out, err := read(key, password)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not a private key of OpenPGP or SSH that can be read (%s is its password): %w",
			ErrAuth, KeySigning, KeySigningPassword, err)
	}
	return out, nil
}

func openpgpSigner(key, password []byte) (signer, error) {
	entities, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(key))
	if err != nil {
		return nil, err
	}
	if len(entities) != 1 || entities[0].PrivateKey == nil {
		return nil, fmt.Errorf("%d keys, and it must be one private key", len(entities))
	}
	entity := entities[0]
	if len(password) > 0 {
		if err := entity.DecryptPrivateKeys(password); err != nil {
			return nil, err
		}
	}
	if entity.PrivateKey.Encrypted {
		return nil, fmt.Errorf("it is encrypted, and %s is missing", KeySigningPassword)
	}
	return func(commit []byte) (string, error) {
		var out strings.Builder
		err := openpgp.ArmoredDetachSign(&out, entity, bytes.NewReader(commit), nil)
		return out.String() + "\n", err
	}, nil
}

// What an SSH signature is of, and how it is written: PROTOCOL.sshsig of OpenSSH. Git's namespace is "git".
const (
	sshMagic     = "SSHSIG"
	sshNamespace = "git"
	sshHash      = "sha512"
	sshLine      = 70 // letters
)

// sshSigned is what is signed, after the magic.
type sshSigned struct{ Namespace, Reserved, Hash, Sum string }

// sshEnvelope is the signature with what it is of, after the magic.
type sshEnvelope struct {
	Version                              uint32
	Key, Namespace, Reserved, Hash, Sign string
}

func sshSigner(key, password []byte) (signer, error) {
	private, err := parseIdentity(key, password)
	if err != nil {
		return nil, err
	}
	return func(commit []byte) (string, error) {
		sum := sha512.Sum512(commit)
		signed := append([]byte(sshMagic), ssh.Marshal(sshSigned{Namespace: sshNamespace, Hash: sshHash, Sum: string(sum[:])})...)
		signature, err := signSSH(private, signed)
		if err != nil {
			return "", err
		}
		return armored(append([]byte(sshMagic), ssh.Marshal(sshEnvelope{
			Version: 1, Key: string(private.PublicKey().Marshal()), Namespace: sshNamespace, Hash: sshHash, Sign: string(ssh.Marshal(signature)),
		})...)), nil
	}, nil
}

// signSSH signs; with an RSA key never by SHA-1, which ssh-keygen refuses.
func signSSH(private ssh.Signer, data []byte) (*ssh.Signature, error) {
	if private.PublicKey().Type() != ssh.KeyAlgoRSA {
		return private.Sign(rand.Reader, data)
	}
	by, ok := private.(ssh.AlgorithmSigner)
	if !ok {
		return nil, fmt.Errorf("a key of type %s cannot sign by %s", ssh.KeyAlgoRSA, ssh.KeyAlgoRSASHA512)
	}
	return by.SignWithAlgorithm(rand.Reader, data, ssh.KeyAlgoRSASHA512)
}

func armored(signature []byte) string {
	text := base64.StdEncoding.EncodeToString(signature)
	var out strings.Builder
	out.WriteString("-----BEGIN SSH SIGNATURE-----\n")
	for len(text) > 0 {
		n := min(sshLine, len(text))
		out.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	out.WriteString("-----END SSH SIGNATURE-----\n")
	return out.String()
}
