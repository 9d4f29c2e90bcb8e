package flux

import (
	"log"
	"os"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// apiServer is a real kube-apiserver; nil when there is none, which needAPIServer complains about.
var apiServer *rest.Config

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	logf.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	environment := &envtest.Environment{}
	config, err := environment.Start()
	if err != nil {
		log.Printf("no API server: %v", err)
		return m.Run()
	}
	defer func() {
		if err := environment.Stop(); err != nil {
			log.Printf("stop the API server: %v", err)
		}
	}()
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	apiServer = config
	return m.Run()
}

// clientOf makes a client of the API server, as the operator has of a cluster.
func clientOf(t *testing.T) client.Client {
	t.Helper()
	if apiServer == nil {
		t.Fatal("KUBEBUILDER_ASSETS is not set: run make unit")
	}
	c, err := client.New(apiServer, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
