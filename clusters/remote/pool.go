package remote

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// Options bound what one cluster may cost. The zero value of each field means its default.
type Options struct {
	Scheme         *runtime.Scheme // of the clients; default: that of client-go
	FieldOwner     string          // of what the clients write
	DialTimeout    time.Duration   // until a connection stands; default 5 s
	AnswerTimeout  time.Duration   // until a cluster has said its version; default 15 s
	RequestTimeout time.Duration   // of one request; default 15 s
	Waiting        int             // clusters that are waited for without a caller, at most; default 50
	Connections    int             // that are kept, those that were used last; default 40
	QPS            float32         // requests a second to one cluster; default 50
	Burst          int             // default 100
	// Answered is told that a cluster has answered, or will not, after Connect returned ErrPending, and that there is room for one
	// after ErrBusy: call it again. It must be fast, and safe for concurrent use. May be nil.
	Answered func(cluster string)
}

// Cluster is a connection to a workload cluster that answered. Its client reads and writes
// directly: nothing is cached but the discovery of kinds, which is refreshed when a kind is
// missing.
type Cluster struct {
	Config  *rest.Config
	HTTP    *http.Client // that Client uses; other clients of Config take it, too
	Client  client.Client
	Version string // of the API server: "v1.36.4"
}

// Pool holds one connection a cluster, of those that were used last: what a connection has learned of its cluster, and its buffers, take
// some hundred KiB, which a thousand clusters that rest need not have. It is safe for concurrent use, and no cluster waits for another.
type Pool struct {
	options Options

	mu          sync.Mutex
	connections *lru.Cache           // of *connection, by cluster
	questions   map[string]*question // that are not answered, or whose answer nobody has taken
	waiting     int                  // of them, those whose caller has gone
	refused     []string             // clusters that found no room, in the order in which they came
}

type connection struct {
	hash      [sha256.Size]byte // of the kubeconfig
	config    *rest.Config
	http      *http.Client
	client    client.Client
	probe     *rest.RESTClient
	transport *http.Transport
}

// idleTimeout is how long a connection stays that nothing is asked over: a pass asks again and again, and the next one is minutes away.
const idleTimeout = 20 * time.Second

// NewPool makes an empty pool.
func NewPool(o Options) *Pool {
	if o.DialTimeout <= 0 {
		o.DialTimeout = 5 * time.Second
	}
	if o.AnswerTimeout <= 0 {
		o.AnswerTimeout = 15 * time.Second
	}
	if o.Waiting <= 0 {
		o.Waiting = 50
	}
	if o.Connections <= 0 {
		o.Connections = 40
	}
	if o.RequestTimeout <= 0 {
		o.RequestTimeout = 15 * time.Second
	}
	if o.QPS <= 0 {
		o.QPS = 50
	}
	if o.Burst <= 0 {
		o.Burst = 100
	}
	return &Pool{options: o, connections: lru.NewWithEvictionFunc(o.Connections, hangUp), questions: map[string]*question{}}
}

// Connect returns the cluster's connection once the API server has said its version. Other bytes of kubeconfig than the last time, as
// after a token turned, make a new connection. It waits as long as patience says; after that the cluster is waited for without the
// caller, who is told by Options.Answered to call again. Errors are those of Config, ErrUnauthorized and ErrUnreachable, ErrPending and
// ErrBusy.
func (p *Pool) Connect(ctx context.Context, cluster string, kubeconfig []byte, patience time.Duration) (*Cluster, error) {
	conn, err := p.connection(cluster, kubeconfig)
	if err != nil {
		return nil, err
	}
	q, err := p.ask(ctx, cluster, conn, patience <= 0)
	if err != nil {
		return nil, err
	}
	serverVersion, err := p.await(ctx, cluster, q, patience)
	if err != nil {
		return nil, err
	}
	return &Cluster{Config: conn.config, HTTP: conn.http, Client: conn.client, Version: serverVersion}, nil
}

// Forget closes the cluster's connection, if there is one: the next Connect makes another.
func (p *Pool) Forget(cluster string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connections.Remove(cluster)
	if q := p.questions[cluster]; q != nil {
		p.drop(cluster, q)
	}
	p.unline(cluster)
}

// hangUp closes a connection that is no longer kept. Whoever still uses it is not disturbed: what they open anew closes once it is idle.
func hangUp(_ lru.Key, conn any) { conn.(*connection).transport.CloseIdleConnections() }

func (p *Pool) connection(cluster string, kubeconfig []byte) (*connection, error) {
	hash := sha256.Sum256(kubeconfig)
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.connections.Get(cluster); ok && old.(*connection).hash == hash {
		return old.(*connection), nil
	}
	config, err := Config(kubeconfig)
	if err != nil {
		return nil, err
	}
	conn, err := p.open(config)
	if err != nil {
		return nil, err
	}
	conn.hash = hash
	p.connections.Remove(cluster) // which hangs up; to add another one would only replace it
	p.connections.Add(cluster, conn)
	return conn, nil
}

// open makes the clients of a connection; it sends nothing. The transport is made here, not by client-go, whose cache of transports would
// keep one for every token that a cluster ever had, and whose pings keep a connection in memory for 45 s after its end: one that is idle is
// closed before a ping would be sent, and a request ends after RequestTimeout.
func (p *Pool) open(config *rest.Config) (*connection, error) {
	config.Timeout, config.QPS, config.Burst = p.options.RequestTimeout, p.options.QPS, p.options.Burst
	config.UserAgent = "fairway-operator"
	config.WarningHandlerWithContext = rest.NoWarnings{}

	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	proxy := config.Proxy
	if proxy == nil {
		proxy = utilnet.NewProxierWithNoProxyCIDR(http.ProxyFromEnvironment)
	}
	transport := &http.Transport{
		Proxy:               proxy,
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: p.options.DialTimeout,
		DialContext:         (&net.Dialer{Timeout: p.options.DialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     idleTimeout,
	}
	wrapped, err := rest.HTTPWrappersForConfig(config, transport)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	httpClient := &http.Client{Transport: wrapped, Timeout: config.Timeout}

	mapper, err := apiutil.NewDynamicRESTMapper(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("make REST mapper: %w", err)
	}
	c, err := client.New(config, client.Options{
		HTTPClient: httpClient, Scheme: p.options.Scheme, Mapper: withKnown(mapper), FieldOwner: p.options.FieldOwner,
	})
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	probeConfig := rest.CopyConfig(config)
	probeConfig.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	probe, err := rest.UnversionedRESTClientForConfigAndClient(probeConfig, httpClient)
	if err != nil {
		return nil, fmt.Errorf("make probe: %w", err)
	}
	return &connection{config: config, http: httpClient, client: c, probe: probe, transport: transport}, nil
}

// version asks /version: the cheapest request that needs a connection and valid credentials.
func (c *connection) version(ctx context.Context) (string, error) {
	body, err := c.probe.Get().AbsPath("/version").MaxRetries(0).Do(ctx).Raw()
	switch {
	case err == nil:
	case apierrors.IsForbidden(err):
		return "", fmt.Errorf("%w: its user may not even read /version; give it rights on the cluster", ErrUnauthorized)
	case ctx.Err() == nil && !apierrors.IsUnauthorized(err) && isAnswer(err):
		return "", fmt.Errorf("%w: what answers there is no Kubernetes API server: %w", ErrUnreachable, err)
	default:
		return "", Classify(err)
	}
	var info version.Info
	if err := json.Unmarshal(body, &info); err != nil || info.GitVersion == "" {
		return "", fmt.Errorf("%w: what answers there is no Kubernetes API server; check the server's address", ErrUnreachable)
	}
	return info.GitVersion, nil
}
