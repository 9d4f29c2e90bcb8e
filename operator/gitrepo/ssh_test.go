package gitrepo

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/fairway-dev/fairway/operator/gitrepo/gittest"
)

func newKey(t *testing.T) (ssh.Signer, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

func sshAuth(t *testing.T, address net.Addr) Auth {
	t.Helper()
	host, _ := newKey(t)
	_, identity := newKey(t)
	return Auth{KeyIdentity: identity, KeyKnownHosts: []byte(knownhosts.Line([]string{address.String()}, host.PublicKey()))}
}

// sshServer serves repositories by git upload-pack and receive-pack to who has the key.
func sshServer(t *testing.T, host ssh.Signer, user ssh.PublicKey) net.Addr {
	t.Helper()
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(user.Marshal()) {
			return nil, errors.New("unknown key")
		}
		return nil, nil
	}}
	config.AddHostKey(host)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveSSH(conn, config)
		}
	}()
	return listener.Addr()
}

func serveSSH(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for each := range channels {
		channel, requests, err := each.Accept()
		if err != nil {
			return
		}
		for request := range requests {
			var body struct{ Command string }
			if request.Type != "exec" || ssh.Unmarshal(request.Payload, &body) != nil {
				_ = request.Reply(request.Type == "env", nil)
				continue
			}
			_ = request.Reply(true, nil)
			service, path, _ := strings.Cut(body.Command, " ")
			command := exec.Command("git", strings.TrimPrefix(service, "git-"), strings.Trim(path, "'"))
			command.Stdout, command.Stderr = channel, channel.Stderr()
			if stdin, err := command.StdinPipe(); err == nil {
				go func() { _, _ = io.Copy(stdin, channel); stdin.Close() }()
			}
			status := struct{ Status uint32 }{}
			if command.Run() != nil {
				status.Status = 1
			}
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status))
			channel.Close()
		}
	}
}

func TestHeadOverSSH(t *testing.T) {
	root, commit := gittest.Repositories(t)
	host, _ := newKey(t)
	user, identity := newKey(t)
	stranger, strangerIdentity := newKey(t)
	address := sshServer(t, host, user.PublicKey())
	url := "ssh://git@" + address.String() + filepath.Join(root, "config.git")
	line := func(pattern string, key ssh.PublicKey) []byte {
		return []byte(knownhosts.Line([]string{pattern}, key) + "\n")
	}
	for name, c := range map[string]struct {
		identity, hosts []byte
		want            string // "": it is read
	}{
		"a key and a known host":       {identity, line(address.String(), host.PublicKey()), ""},
		"a key and a hashed host":      {identity, line(knownhosts.HashHostname(knownhosts.Normalize(address.String())), host.PublicKey()), ""},
		"a key that the server lacks":  {strangerIdentity, line(address.String(), host.PublicKey()), ErrAuth.Error()},
		"a host with another key":      {identity, line(address.String(), stranger.PublicKey()), "not in known_hosts"},
		"a host that nobody knows":     {identity, line("git.example.com", host.PublicKey()), "not in known_hosts"},
		"a host whose key was revoked": {identity, append([]byte("@revoked * "+string(ssh.MarshalAuthorizedKey(host.PublicKey()))), line(address.String(), host.PublicKey())...), "revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Head(t.Context(), url, "main", Auth{KeyIdentity: c.identity, KeyKnownHosts: c.hosts})
			switch {
			case c.want == "" && (err != nil || got != "main@sha1:"+commit):
				t.Errorf("%q, %v", got, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v does not say %q", err, c.want)
			}
		})
	}
}

// A server that remembers the branch of a conversation is asked anew when somebody else has pushed.
func TestPushOverSSH(t *testing.T) {
	root, _ := gittest.Repositories(t)
	dir := filepath.Join(root, "config.git")
	host, _ := newKey(t)
	user, identity := newKey(t)
	address := sshServer(t, host, user.PublicKey())
	to := Remote{URL: "ssh://git@" + address.String() + dir, Branch: "main", Auth: Auth{
		KeyIdentity: identity, KeyKnownHosts: []byte(knownhosts.Line([]string{address.String()}, host.PublicKey()) + "\n")}}
	w := startWriter(t)
	stranger := gittest.Stranger{Dir: dir}
	for _, path := range []string{"one", "two"} {
		meanwhile := 2
		_, err := w.Submit(t.Context(), to, Change{Message: Message{Subject: path}, Edit: func(fs.FS) ([]Edit, error) {
			if meanwhile--; meanwhile >= 0 {
				if err := stranger.Commit(t.Context()); err != nil {
					return nil, err
				}
			}
			return []Edit{{Path: path, Content: []byte(path)}}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := "two\nstranger 4\nstranger 3\none\nstranger 2\nstranger 1\nfirst"
	if got := gittest.Git(t, dir, "log", "--format=%s", "main"); got != want {
		t.Errorf("history:\n%s", got)
	}
	gittest.Git(t, dir, "fsck", "--strict", "--full")
}

func TestKnownHosts(t *testing.T) {
	key, _ := newKey(t)
	public := string(ssh.MarshalAuthorizedKey(key.PublicKey()))
	for name, c := range map[string]struct {
		lines, host, port string
		want              bool
	}{
		"a name at the usual port":            {"git.example.com " + public, "git.example.com", "22", true},
		"a name at another port is another":   {"git.example.com " + public, "git.example.com", "2222", false},
		"a name with its port":                {"[git.example.com]:2222 " + public, "git.example.com", "2222", true},
		"one of several names":                {"a.example.com,b.example.com " + public, "b.example.com", "22", true},
		"a wildcard":                          {"*.example.com " + public, "git.example.com", "22", true},
		"a wildcard without the negated":      {"*.example.com,!git.example.com " + public, "git.example.com", "22", false},
		"comments and empty lines are no key": {"# x\n\ngit.example.com " + public, "git.example.com", "22", true},
	} {
		t.Run(name, func(t *testing.T) {
			hosts, err := parseKnownHosts([]byte(c.lines))
			if err != nil {
				t.Fatal(err)
			}
			err = hosts.check(net.JoinHostPort(c.host, c.port), nil, key.PublicKey())
			if (err == nil) != c.want {
				t.Errorf("%v", err)
			}
			if got := len(hosts.algorithms(c.host, c.port)) > 0; got != c.want {
				t.Errorf("algorithms: %v", got)
			}
		})
	}
	for _, bad := range []string{"", "# only a comment\n", "git.example.com ssh-ed25519 !!!"} {
		if _, err := parseKnownHosts([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzKnownHosts(f *testing.F) {
	f.Add([]byte("git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n"), "git.example.com")
	f.Add([]byte("|1|c2FsdA==|aGFzaA== ssh-rsa AAAA\n@revoked * ssh-rsa AAAA"), "x")
	f.Fuzz(func(_ *testing.T, data []byte, host string) {
		hosts, err := parseKnownHosts(data)
		if err == nil {
			hosts.algorithms(host, "22")
		}
	})
}
