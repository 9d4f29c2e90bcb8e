package oci

import "testing"

func TestPlainHTTPIsForLoopbackOnly(t *testing.T) {
	for _, c := range []struct {
		host string
		want bool
	}{
		{"127.0.0.1:5000", true},
		{"127.8.8.8", true},
		{"localhost:5000", true},
		{"localhost", true},
		{"[::1]:5000", true},
		{"ghcr.io", false},
		{"10.0.0.1:5000", false},
		{"localhost.example.com", false},
		{"127.0.0.1.example.com:5000", false},
		{"registry.local:5000", false},
	} {
		t.Run(c.host, func(t *testing.T) {
			if got := loopback(c.host); got != c.want {
				t.Errorf("loopback = %v, want %v", got, c.want)
			}
		})
	}
}
