package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Metrics are what a process answers at /metrics.
type Metrics string

// ReadMetrics asks a process for its metrics; base is its address, http://host:port.
func ReadMetrics(ctx context.Context, client *http.Client, base string) (_ Metrics, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/metrics", nil)
	if err != nil {
		return "", fmt.Errorf("read metrics: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("read metrics: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	if err != nil {
		return "", fmt.Errorf("read metrics: %w", err)
	}
	return Metrics(body), nil
}

// Value is that of one metric, named as in the text, with its labels.
func (m Metrics) Value(name string) (float64, error) {
	for line := range strings.Lines(string(m)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("read metrics: there is no %s", name)
}

// Sum adds up a metric over those of its labels ("a=\"b\",c=\"d\"") that are wanted.
func (m Metrics) Sum(name string, wanted func(labels string) bool) (float64, error) {
	var sum float64
	for line := range strings.Lines(string(m)) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), name+"{")
		if !ok {
			continue
		}
		labels, value, ok := strings.Cut(rest, "} ")
		if !ok || !wanted(labels) {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("read metrics: %s: %w", name, err)
		}
		sum += number
	}
	return sum, nil
}
