package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// maxRedirects is where a kubelet gives up on a chain of redirects.
const maxRedirects = 10

// Target is the container that is probed.
type Target struct {
	// IP is the pod's address.
	IP string
	// Ports are the container's declared ports, for probes that name one.
	Ports []corev1.ContainerPort
	// Dial opens a connection to the pod, from where a kubelet would.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Exec runs a command in the container and returns its output.
	Exec func(ctx context.Context, command []string) ([]byte, error)
}

// Ask puts the question of p once; the error says why the answer is no.
func (t Target) Ask(ctx context.Context, p *corev1.Probe) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout(p))
	defer cancel()
	switch {
	case p.HTTPGet != nil:
		return t.get(ctx, p.HTTPGet)
	case p.TCPSocket != nil:
		return t.connect(ctx, p.TCPSocket)
	case p.Exec != nil:
		if out, err := t.Exec(ctx, p.Exec.Command); err != nil {
			return fmt.Errorf("%s%w", out, err)
		}
		return nil
	}
	return errors.New("a process node asks only httpGet, tcpSocket and exec probes")
}

// Run asks p until ctx ends, and reports each change of the verdict; reason says why when it is Unhealthy.
func (t Target) Run(ctx context.Context, p *corev1.Probe, report func(v Verdict, reason string)) {
	counter := NewCounter(p)
	wait := time.Duration(p.InitialDelaySeconds) * time.Second
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		at := time.Now()
		err := t.Ask(ctx, p)
		if ctx.Err() != nil {
			return
		}
		if v, changed := counter.Observe(err == nil, at); changed {
			report(v, reason(err))
		}
		wait = counter.Wait()
	}
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (t Target) connect(ctx context.Context, a *corev1.TCPSocketAction) error {
	port, err := Port(a.Port, t.Ports)
	if err != nil {
		return err
	}
	c, err := t.Dial(ctx, net.JoinHostPort(host(a.Host, t.IP), port))
	if err != nil {
		return err
	}
	return c.Close()
}

func (t Target) get(ctx context.Context, a *corev1.HTTPGetAction) error {
	req, err := t.request(ctx, a)
	if err != nil {
		return err
	}
	client := &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // as a kubelet does: it asks about health, not identity
			DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				return t.Dial(ctx, address)
			},
		},
		CheckRedirect: followOnSameHost,
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusOK && res.StatusCode < http.StatusBadRequest {
		_, err := io.Copy(io.Discard, io.LimitReader(res.Body, 10<<10))
		return err
	}
	return fmt.Errorf("HTTP probe failed with statuscode: %d", res.StatusCode)
}

// followOnSameHost takes a redirect to another host as a good answer, as a kubelet does.
func followOnSameHost(req *http.Request, via []*http.Request) error {
	if req.URL.Hostname() != via[0].URL.Hostname() {
		return http.ErrUseLastResponse
	}
	if len(via) >= maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	return nil
}

func (t Target) request(ctx context.Context, a *corev1.HTTPGetAction) (*http.Request, error) {
	port, err := Port(a.Port, t.Ports)
	if err != nil {
		return nil, err
	}
	path, err := url.Parse(a.Path)
	if err != nil {
		path = &url.URL{Path: a.Path}
	}
	scheme := "http"
	if a.Scheme == corev1.URISchemeHTTPS {
		scheme = "https"
	}
	u := url.URL{Scheme: scheme, Host: net.JoinHostPort(host(a.Host, t.IP), port), Path: path.Path, RawQuery: path.RawQuery}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "kube-probe/1")
	req.Header.Set("Accept", "*/*")
	for _, h := range a.HTTPHeaders {
		if strings.EqualFold(h.Name, "Host") {
			req.Host = h.Value
		} else {
			req.Header.Add(h.Name, h.Value)
		}
	}
	return req, nil
}

func host(asked, ip string) string {
	if asked != "" {
		return asked
	}
	return ip
}

// Port is the number of a port that is given as a number or by the name of one in ports.
func Port(p intstr.IntOrString, ports []corev1.ContainerPort) (string, error) {
	if p.Type == intstr.Int {
		return strconv.Itoa(p.IntValue()), nil
	}
	for _, c := range ports {
		if c.Name == p.StrVal {
			return strconv.Itoa(int(c.ContainerPort)), nil
		}
	}
	if n, err := strconv.Atoi(p.StrVal); err == nil {
		return strconv.Itoa(n), nil
	}
	return "", fmt.Errorf("couldn't find port: %q", p.StrVal)
}
