package stories

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

const operatorDeployment = "deploy/fairway-operator"

// forwardMetrics is the URL of the operator's metrics, by a port-forward that ends with the test.
func forwardMetrics(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bank.Kubectl(), "port-forward", "--kubeconfig", bank.Platform.Kubeconfig,
		"-n", fleetv1.SystemNamespace, operatorDeployment, ":8080")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // it is killed with the test's context
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		// Forwarding from 127.0.0.1:40001 -> 8080
		if _, rest, ok := strings.Cut(lines.Text(), "127.0.0.1:"); ok {
			port, _, _ := strings.Cut(rest, " ")
			return "http://127.0.0.1:" + port + "/metrics"
		}
	}
	t.Fatalf("kubectl port-forward says no port: %v", lines.Err())
	return ""
}

// passes are the reconciles of WorkloadClusters, by their result.
type passes map[string]float64

func (p passes) all() (sum float64) {
	for _, n := range p {
		sum += n
	}
	return sum
}

func readPasses(t *testing.T, metrics string) passes {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, metrics, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	out, lines := passes{}, bufio.NewScanner(response.Body)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), `controller_runtime_reconcile_total{controller="workloadcluster",result="`)
		if !ok {
			continue
		}
		result, value, _ := strings.Cut(rest, `"} `)
		if out[result], err = strconv.ParseFloat(value, 64); err != nil {
			t.Fatal(err)
		}
	}
	if err := lines.Err(); err != nil || out.all() == 0 {
		t.Fatalf("the operator's metrics tell of no passes: %v, error %v", out, err)
	}
	return out
}

// operatorErrors are the errors in the operator's log since a moment.
func operatorErrors(t *testing.T, since time.Time) (errors []string) {
	t.Helper()
	log, err := bank.Platform.Kubectl(context.WithoutCancel(t.Context()), "logs", "-n", fleetv1.SystemNamespace, operatorDeployment,
		"--since-time="+since.UTC().Format(time.RFC3339))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(log) {
		if strings.Contains(line, `"level":"ERROR"`) {
			errors = append(errors, fmt.Sprintf("the operator's log: %s", line))
		}
	}
	return errors
}
