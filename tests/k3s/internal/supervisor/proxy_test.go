// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package supervisor

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// behind starts a server in the apiserver's place and a proxy before it, and gives the proxy's client and address.
func behind(t *testing.T, client *x509.Certificate, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	backend := httptest.NewUnstartedServer(handler)
	backend.EnableHTTP2 = true
	backend.StartTLS()
	t.Cleanup(backend.Close)
	roots := x509.NewCertPool()
	roots.AddCert(backend.Certificate())
	config := &tls.Config{RootCAs: roots, ServerName: "example.com"}
	proxy := newAPIProxy(backend.Listener.Addr().String(), config, func(*http.Request) *x509.Certificate { return client })
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	return front
}

func get(t *testing.T, address string, header http.Header) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func echoIdentity(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s|%s|%s|%s", r.Header.Get(headerUser), strings.Join(r.Header.Values(headerGroup), "+"),
		r.Header.Get("X-Remote-Extra-Scopes"), r.Header.Get("Authorization"))
}

func TestAClientCannotNameItself(t *testing.T) {
	front := behind(t, nil, echoIdentity)
	for _, spelling := range []string{"X-Remote-User", "x-remote-user", "X-REMOTE-USER"} {
		_, got := get(t, front.URL, http.Header{
			spelling: {"system:admin"}, "X-Remote-Group": {"system:masters"}, "X-Remote-Extra-Scopes": {"all"},
		})
		if got != "|||" {
			t.Errorf("%s: the apiserver was told %q", spelling, got)
		}
	}
}

func TestACertificateBecomesUserAndGroups(t *testing.T) {
	certificate := &x509.Certificate{
		Raw:     []byte("any"),
		Subject: pkix.Name{CommonName: "system:node:one", Organization: []string{"system:nodes", "more"}},
	}
	front := behind(t, certificate, echoIdentity)
	_, got := get(t, front.URL, http.Header{"X-Remote-User": {"system:admin"}, "X-Remote-Group": {"system:masters"}})
	if got != "system:node:one|system:nodes+more||" {
		t.Errorf("the apiserver was told %q", got)
	}
}

func TestATokenGoesThroughUntouched(t *testing.T) {
	front := behind(t, nil, echoIdentity)
	if _, got := get(t, front.URL, http.Header{"Authorization": {"Bearer abc"}}); got != "|||Bearer abc" {
		t.Errorf("the apiserver was told %q", got)
	}
}

func TestWithoutAnAPIServerTheAnswerIs503(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	proxy := newAPIProxy(address, &tls.Config{}, func(*http.Request) *x509.Certificate { return nil })
	front := httptest.NewServer(proxy)
	defer front.Close()
	code, body := get(t, front.URL+"/api", nil)
	if code != http.StatusServiceUnavailable || !strings.Contains(body, `"message":"apiserver not ready"`) {
		t.Errorf("got %d %s", code, body)
	}
}

func TestAConnectionThatSwitchesProtocolsIsCarried(t *testing.T) {
	front := behind(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "SPDY/3.1" || r.ProtoMajor != 1 {
			http.Error(w, "no upgrade over "+r.Proto, http.StatusBadRequest)
			return
		}
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "SPDY/3.1")
		w.WriteHeader(http.StatusSwitchingProtocols)
		connection, buffer, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer connection.Close()
		line, _ := buffer.ReadString('\n')
		fmt.Fprintf(connection, "heard %s", line)
	})
	connection, err := net.Dial("tcp", strings.TrimPrefix(front.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprintf(connection, "POST /exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
	reader := bufio.NewReader(connection)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %s", answer.Status)
	}
	fmt.Fprintf(connection, "hello\n")
	if line, _ := reader.ReadString('\n'); line != "heard hello\n" {
		t.Errorf("got %q", line)
	}
}
