// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package loadbalancer

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAServerURLWithoutAPortMeans443(t *testing.T) {
	for given, wanted := range map[string]string{
		"https://vip":              "vip:443",
		"https://vip:6443":         "vip:6443",
		"https://[2001:db8::1]":    "[2001:db8::1]:443",
		"https://10.0.0.1:6443/x/": "10.0.0.1:6443",
	} {
		if got, err := Address(given); err != nil || got != wanted {
			t.Errorf("Address(%q) = %q, %v; wanted %q", given, got, err, wanted)
		}
	}
	if _, err := Address("https://"); err == nil {
		t.Error("a URL without a host was accepted")
	}
}

func TestStateIsOnlyUsedForTheSameServerURL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if err := saveState(path, state{ServerURL: "https://a:6443", ServerAddresses: []string{"x:1", "y:2"}}); err != nil {
		t.Fatal(err)
	}
	if got := loadState(path, "https://a:6443"); !slices.Equal(got, []string{"x:1", "y:2"}) {
		t.Errorf("got %v", got)
	}
	if got := loadState(path, "https://b:6443"); got != nil {
		t.Errorf("another cluster's servers were used: %v", got)
	}
}

// backend is a server that says its name, and answers /ping until it is told to fail.
func backend(t *testing.T, name string) *httptest.Server {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ping" {
			fmt.Fprint(w, "pong")
			return
		}
		fmt.Fprintln(w, name)
		if r.URL.Path == "/watch" {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func address(server *httptest.Server) string { return strings.TrimPrefix(server.URL, "https://") }

func ask(t *testing.T, b *Balancer, path string) (*http.Response, error) {
	t.Helper()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	return client.Get(b.URL() + path)
}

func body(t *testing.T, b *Balancer) string {
	t.Helper()
	answer, err := ask(t, b, "/")
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return strings.TrimSpace(string(text))
}

func TestAnOpenConnectionEndsWithItsServerAndTheNextGoesToAnother(t *testing.T) {
	first, second := backend(t, "first"), backend(t, "second")
	b, err := Start(t.Context(), "https://"+address(first), filepath.Join(t.TempDir(), "state.json"), 0)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(first.Certificate())
	b.Trust(roots)
	if got := body(t, b); got != "first" {
		t.Fatalf("the only server answered %q", got)
	}
	watch, err := ask(t, b, "/watch")
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Body.Close()
	reader := bufio.NewReader(watch.Body)
	if line, _ := reader.ReadString('\n'); line != "first\n" {
		t.Fatalf("the watch began with %q", line)
	}
	b.Update(t.Context(), []string{address(first), address(second)})

	go first.Close() // waits for its connections, which only the balancer ends
	ended := make(chan struct{})
	go func() { _, _ = reader.ReadString('\n'); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the watch outlived its server")
	}
	if got := body(t, b); got != "second" {
		t.Errorf("after the fail-over %q answered", got)
	}
}

func TestAnEmptyListOfServersIsNotBelieved(t *testing.T) {
	only := backend(t, "only")
	b, err := Start(t.Context(), "https://127.0.0.1:1", filepath.Join(t.TempDir(), "state.json"), 0)
	if err != nil {
		t.Fatal(err)
	}
	b.Update(t.Context(), []string{address(only)})
	b.Update(t.Context(), nil)
	if got := b.Servers(); !slices.Equal(got, []string{address(only)}) {
		t.Fatalf("servers are %v", got)
	}
	if got := body(t, b); got != "only" {
		t.Errorf("%q answered", got)
	}
}
