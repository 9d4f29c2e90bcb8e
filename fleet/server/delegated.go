package server

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// The ConfigMap in which an API server tells its extensions whose certificates it trusts.
const trustName = "extension-apiserver-authentication"

const (
	tokensKnown   = 10 * time.Second // a token that was revoked is refused after this
	rightsKnown   = 30 * time.Second
	denialsKnown  = 5 * time.Second // so that a binding helps at once
	askKubernetes = 10 * time.Second

	// askAtMost is how many reviews a second are asked for. The API server shares itself out among its
	// callers; a client's usual 5 would let a morning's first callers wait for each other.
	askAtMost = 200
)

// Delegated asks the platform's Kubernetes who callers are and what they may see: TokenReviews for
// bearer tokens, the cluster's client CA for certificates, its front proxy's for its headers,
// SubjectAccessReviews for rights. It follows the CAs until ctx ends. It needs the ClusterRole
// system:auth-delegator and, in kube-system, the Role extension-apiserver-authentication-reader.
func Delegated(ctx context.Context, config *rest.Config, log logr.Logger) (Auth, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = askAtMost, 2*askAtMost
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return Auth{}, fmt.Errorf("make Kubernetes client: %w", err)
	}
	retries := &wait.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 3}
	authentication := authenticatorfactory.DelegatingAuthenticatorConfig{
		Anonymous:                &apiserver.AnonymousAuthConfig{Enabled: false},
		TokenAccessReviewClient:  client.AuthenticationV1(),
		TokenAccessReviewTimeout: askKubernetes,
		WebhookRetryBackoff:      retries,
		CacheTTL:                 tokensKnown,
	}
	if err := trust(ctx, &authentication, client, log); err != nil {
		return Auth{}, err
	}
	var out Auth
	if out.Authenticator, _, err = authentication.New(); err != nil {
		return Auth{}, fmt.Errorf("make authenticator: %w", err)
	}
	out.Authorizer, err = authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: client.AuthorizationV1(),
		AllowCacheTTL:             rightsKnown,
		DenyCacheTTL:              denialsKnown,
		WebhookRetryBackoff:       retries,
	}.New()
	if err != nil {
		return Auth{}, fmt.Errorf("make authorizer: %w", err)
	}
	return out, nil
}

// trust follows the cluster's client CA and its front proxy's. Where one is missing (many managed
// clusters have no front proxy) its callers are refused until it is there.
func trust(ctx context.Context, into *authenticatorfactory.DelegatingAuthenticatorConfig, client kubernetes.Interface, log logr.Logger) error {
	clientCA, err := authority(ctx, "client-ca", "client-ca-file", client, log)
	if err != nil {
		return err
	}
	proxyCA, err := authority(ctx, "front-proxy-ca", "requestheader-client-ca-file", client, log)
	if err != nil {
		return err
	}
	names := headerrequest.NewRequestHeaderAuthRequestController(trustName, metav1.NamespaceSystem, client,
		"requestheader-username-headers", "requestheader-uid-headers", "requestheader-group-headers",
		"requestheader-extra-headers-prefix", "requestheader-allowed-names")
	if err := names.RunOnce(ctx); err != nil {
		log.Info("front-proxy headers are not accepted yet", "reason", err.Error())
	}
	go names.Run(ctx, 1)
	into.ClientCertificateCAContentProvider = clientCA
	into.RequestHeaderConfig = &authenticatorfactory.RequestHeaderConfig{
		CAContentProvider:   proxyCA,
		UsernameHeaders:     headerrequest.StringSliceProviderFunc(names.UsernameHeaders),
		UIDHeaders:          headerrequest.StringSliceProviderFunc(names.UIDHeaders),
		GroupHeaders:        headerrequest.StringSliceProviderFunc(names.GroupHeaders),
		ExtraHeaderPrefixes: headerrequest.StringSliceProviderFunc(names.ExtraHeaderPrefixes),
		AllowedClientNames:  headerrequest.StringSliceProviderFunc(names.AllowedClientNames),
	}
	return nil
}

func authority(ctx context.Context, purpose, key string, client kubernetes.Interface, log logr.Logger) (*dynamiccertificates.ConfigMapCAController, error) {
	ca, err := dynamiccertificates.NewDynamicCAFromConfigMapController(purpose, metav1.NamespaceSystem, trustName, key, client)
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", purpose, err)
	}
	if err := ca.RunOnce(ctx); err != nil {
		log.Info("its certificates are not accepted yet", "authority", purpose, "reason", err.Error())
	}
	go ca.Run(ctx, 1)
	return ca, nil
}
