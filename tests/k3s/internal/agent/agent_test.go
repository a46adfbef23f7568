// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package agent

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"

	"holdfast.internal/k3s/internal/token"
)

func TestTheNodePasswordStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node", "password")
	first, err := nodePassword(path)
	if err != nil || len(first) != 32 {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := nodePassword(path); err != nil || again != first {
		t.Errorf("%q became %q, %v", first, again, err)
	}
	facts, err := os.Stat(path)
	if err != nil || facts.Mode().Perm() != 0o600 || facts.Size() != 33 {
		t.Errorf("%v, %v", facts, err)
	}
	if folder, err := os.Stat(filepath.Dir(path)); err != nil || folder.Mode().Perm() != 0o755 {
		t.Errorf("folder: %v, %v", folder, err)
	}
}

func TestARequestUsesTheKeyThatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "client-kubelet.key")
	public := func() any {
		t.Helper()
		request, err := certificateRequest(path, "one")
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(request)
		parsed, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil || parsed.CheckSignature() != nil {
			t.Fatal(err)
		}
		return parsed.PublicKey
	}
	first := public()
	if second := public(); fmt.Sprint(first) != fmt.Sprint(second) {
		t.Error("the key changed")
	}
	if err := os.WriteFile(path, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if third := public(); fmt.Sprint(first) == fmt.Sprint(third) {
		t.Error("a broken key was used")
	}
}

func TestJoiningChecksTheCAAndSendsTheCredentials(t *testing.T) {
	var authority []byte
	var sent http.Header
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cacerts":
			_, _ = w.Write(authority)
		case "/denied":
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"message":"not authorized"}`)
		default:
			sent = r.Header.Clone()
			fmt.Fprint(w, `{"clusterDomain":"x"}`)
		}
	}))
	defer server.Close()
	authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	hash, err := token.CAHash(authority)
	if err != nil {
		t.Fatal(err)
	}
	for text, wanted := range map[string]string{
		"K10" + hash + "::server:pw": "Basic c2VydmVyOnB3",
		"pw":                         "Basic bm9kZTpwdw==",
		"abcdef.0123456789abcdef":    "Bearer abcdef.0123456789abcdef",
		"K10" + hash + "::abcdef.0123456789abcdef": "Bearer abcdef.0123456789abcdef",
	} {
		c, err := connect(t.Context(), server.URL, text, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var answer struct{ ClusterDomain string }
		if err := c.getJSON(t.Context(), "/v1-k3s/config", &answer); err != nil || answer.ClusterDomain != "x" {
			t.Errorf("%s: %v, %v", text, answer, err)
		}
		if got := sent.Get("Authorization"); got != wanted {
			t.Errorf("%s: sent %q", text, got)
		}
		if _, err := c.get(t.Context(), "/denied"); err == nil || err.Error() != server.URL+"/denied: 401 Unauthorized" {
			t.Errorf("the refusal reads %v", err)
		}
	}
	other := strings.Repeat("0", 64)
	_, err = connect(t.Context(), server.URL, "K10"+other+"::server:pw", nil, nil)
	wanted := "token CA hash does not match the Cluster CA certificate hash: " + other + " != " + hash
	if err == nil || err.Error() != wanted {
		t.Errorf("a wrong hash gave %v", err)
	}
}

func TestTheServersOfTheLoadBalancer(t *testing.T) {
	port := int32(6443)
	got := addressesOf([]discoveryv1.EndpointSlice{{
		Ports:     []discoveryv1.EndpointPort{{Port: &port}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}, {Addresses: []string{"2001:db8::1"}}},
	}})
	if !slices.Equal(got, []string{"10.0.0.1:6443", "[2001:db8::1]:6443"}) {
		t.Errorf("got %v", got)
	}
}

func TestKubeconfigsNameFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubelet.kubeconfig")
	if err := writeKubeconfig(path, "https://127.0.0.1:6444", "/ca", "/crt", "/key"); err != nil {
		t.Fatal(err)
	}
	content, _ := os.ReadFile(path)
	for _, wanted := range []string{"server: https://127.0.0.1:6444", "client-key: /key", "certificate-authority: /ca"} {
		if !bytes.Contains(content, []byte(wanted)) {
			t.Errorf("%s is missing", wanted)
		}
	}
}
