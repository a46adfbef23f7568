// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package bootstrap

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast.internal/k3s/internal/datastore"
	"holdfast.internal/k3s/internal/etcdtest"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/token"
	"holdfast.internal/k3s/internal/wire"
)

// host is a server with embedded etcd; several live on one machine by addresses and ports of their own.
type host struct {
	settings *settings.Settings
	ports    datastore.Ports
	material *material.Material
	store    *datastore.Store
}

func newHost(t *testing.T, number int, secret string) *host {
	t.Helper()
	s := server(t, fmt.Sprintf("node%d", number), secret, nil)
	s.NodeIPs = []net.IP{net.IPv4(127, 0, 1, byte(number))}
	s.BinDir = t.TempDir()
	if err := os.Symlink(etcdtest.Binary(t), filepath.Join(s.BinDir, "etcd")); err != nil {
		t.Fatal(err)
	}
	ports := datastore.Ports{Client: etcdtest.FreePort(t), Peer: etcdtest.FreePort(t), Metrics: etcdtest.FreePort(t)}
	return &host{settings: s, ports: ports}
}

func (h *host) begin(t *testing.T) error {
	t.Helper()
	store, err := datastore.OpenAt(t.Context(), h.settings, h.ports)
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = store.Close() })
	h.store = store
	h.material, err = Prepare(t.Context(), h.settings, store)
	return err
}

func (h *host) mustBegin(t *testing.T) {
	t.Helper()
	if err := h.begin(t); err != nil {
		t.Fatal(err)
	}
}

func (h *host) end(t *testing.T) {
	t.Helper()
	if err := h.store.Close(); err != nil {
		t.Fatal(err)
	}
}

// serve answers as this host's supervisor and gives its URL.
func (h *host) serve(t *testing.T) string {
	t.Helper()
	users, err := token.LoadUsers(h.material.Passwords)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc(wire.PathCACerts, func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, h.material.ServerCA.Cert)
	})
	handlers := Handlers(h.settings, h.material, h.store)
	handlers[wire.PathConfig] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(wire.Config{
			ServiceCIDRs: texts(h.settings.ServiceCIDRs), ClusterDomain: h.settings.ClusterDomain,
			ClusterCIDRs: []string{}, ClusterDNS: []string{},
		})
	})
	for path, handler := range handlers {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			name, password, _ := r.BasicAuth()
			if role, ok := users.Check(name, password); !ok || role != token.RoleServer {
				http.Error(w, "not authorized", http.StatusUnauthorized)
				return
			}
			handler.ServeHTTP(w, r)
		})
	}
	pair, err := tls.LoadX509KeyPair(h.material.ServingAPIServer.Cert, h.material.ServingAPIServer.Key)
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewUnstartedServer(mux)
	listener.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	listener.StartTLS()
	t.Cleanup(listener.Close)
	return listener.URL
}

func TestThreeServersBuildOneEmbeddedCluster(t *testing.T) {
	recorded(t)
	first := newHost(t, 1, "secret")
	first.settings.ClusterInit = true
	first.mustBegin(t)
	url := first.serve(t)
	full := strings.TrimSpace(string(read(t, first.material.ServerToken)))
	hosts := []*host{first}
	for number := 2; number <= 3; number++ {
		next := newHost(t, number, full)
		next.settings.ServerURL = url
		next.mustBegin(t)
		sameSecrets(t, first.material, next.material)
		hosts = append(hosts, next)
	}
	if urls, err := first.store.ClientURLs(t.Context()); err != nil || len(urls) != 3 {
		t.Fatalf("voters %v, %v", urls, err)
	}
	// One member goes and comes back while the others serve, and knows its place without the server it joined by.
	hosts[1].end(t)
	if _, err := hosts[2].store.Create(t.Context(), "/test", []byte("written by two")); err != nil {
		t.Fatal(err)
	}
	hosts[1].settings.ServerURL = "https://127.0.0.1:1"
	hosts[1].mustBegin(t)
	if entries, err := hosts[1].store.List(t.Context(), "/test"); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestJoinWithAWrongTokenOrHashIsRefused(t *testing.T) {
	recorded(t)
	first := newHost(t, 1, "secret")
	first.settings.ClusterInit = true
	first.mustBegin(t)
	url := first.serve(t)
	hash, err := token.CAHash(read(t, first.material.ServerCA.Cert))
	if err != nil {
		t.Fatal(err)
	}
	zeros := strings.Repeat("0", 64)
	for secret, want := range map[string]string{
		"K10" + zeros + "::server:secret": "token CA hash does not match the Cluster CA certificate hash: " + zeros + " != " + hash,
		"wrong":                           "401 Unauthorized",
		"":                                "token is required to join a cluster",
		"abcdef.0123456789abcdef":         "failed to normalize server token",
	} {
		other := newHost(t, 2, secret)
		other.settings.ServerURL = url
		if err := other.begin(t); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", secret, err)
		}
		if _, err := os.Stat(filepath.Join(other.settings.ServerDir(), "tls", "server-ca.key")); err == nil {
			t.Errorf("%q: a CA was made", secret)
		}
	}
	different := newHost(t, 2, "secret")
	different.settings.ServerURL, different.settings.ClusterDomain = url, "other.local"
	if err := different.begin(t); err == nil || !strings.Contains(err.Error(), "critical configuration value mismatch between servers") {
		t.Errorf("%v", err)
	}
}

func TestSingleServerRestartsWithItsData(t *testing.T) {
	recorded(t)
	only := newHost(t, 1, "")
	only.mustBegin(t)
	if _, err := only.store.Create(t.Context(), "/test", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	key := read(t, only.material.ServerCA.Key)
	only.end(t)
	only.mustBegin(t)
	entries, err := only.store.List(t.Context(), "/test")
	if err != nil || len(entries) != 1 || !bytes.Equal(key, read(t, only.material.ServerCA.Key)) {
		t.Errorf("%v, %v", entries, err)
	}
	answer := ask(t, Handlers(only.settings, only.material, only.store), http.MethodGet, wire.PathServerBootstrap, nil)
	if answer.Code != http.StatusBadRequest {
		t.Errorf("a single server gave its secrets away: %d", answer.Code)
	}
}

func TestSingleServerBecomesTheFirstOfSeveral(t *testing.T) {
	recorded(t)
	first := newHost(t, 1, "secret")
	first.mustBegin(t)
	first.end(t)
	first.settings.ClusterInit = true
	first.mustBegin(t)
	second := newHost(t, 2, "secret")
	second.settings.ServerURL = first.serve(t)
	second.mustBegin(t)
	if urls, err := first.store.ClientURLs(t.Context()); err != nil || len(urls) != 2 {
		t.Errorf("%v, %v", urls, err)
	}
}

func TestLostFilesComeBackOutOfTheMembersOwnData(t *testing.T) {
	recorded(t)
	only := newHost(t, 1, "secret")
	only.settings.ClusterInit = true
	only.mustBegin(t)
	authority := read(t, only.material.EtcdServerCA.Cert)
	only.end(t)
	if err := os.RemoveAll(filepath.Join(only.settings.ServerDir(), "tls")); err != nil {
		t.Fatal(err)
	}
	only.mustBegin(t)
	if !bytes.Equal(authority, read(t, only.material.EtcdServerCA.Cert)) {
		t.Error("etcd's CA was made anew")
	}
	if _, err := os.Stat(filepath.Join(only.settings.ServerDir(), "db", "etcd-tmp")); err == nil {
		t.Error("the copy of the data was left behind")
	}
}

func TestWrongTokenOnEmbeddedDataIsRefused(t *testing.T) {
	recorded(t)
	only := newHost(t, 1, "secret")
	only.mustBegin(t)
	only.end(t)
	only.settings.Token = "wrong"
	if err := only.begin(t); err == nil || !strings.Contains(err.Error(), "different token") {
		t.Fatalf("%v", err)
	}
	_ = only.store.Close()
	only.settings.Token = "secret"
	passwords := material.New(only.settings).Passwords
	later := time.Now().Add(5 * time.Second)
	if err := os.Chtimes(passwords, later, later); err != nil {
		t.Fatal(err)
	}
	if err := only.begin(t); err == nil || !strings.HasPrefix(err.Error(), passwords+" newer than datastore") {
		t.Fatalf("%v", err)
	}
	_ = only.store.Close()
	if err := os.Remove(passwords); err != nil {
		t.Fatal(err)
	}
	only.mustBegin(t)
}

func TestKilledFirstStartIsRepeated(t *testing.T) {
	recorded(t)
	only := newHost(t, 1, "secret")
	store, err := datastore.OpenAt(t.Context(), only.settings, only.ports)
	if err != nil {
		t.Fatal(err)
	}
	half := &preparation{settings: only.settings, store: store, material: material.New(only.settings)}
	if err := half.chooseUsers(); err != nil {
		t.Fatal(err)
	}
	if err := half.makeFolders(); err != nil {
		t.Fatal(err)
	}
	if err := half.shareUntilLock(t); err != nil {
		t.Fatal(err)
	}
	_ = store.Close()
	begun := time.Now()
	only.mustBegin(t)
	if spent := time.Since(begun); spent > 20*time.Second {
		t.Errorf("the lock of the start before was waited for %v", spent)
	}
}

// shareUntilLock is a first start up to the moment where the power goes: etcd runs, the lock is taken, nothing is saved.
func (p *preparation) shareUntilLock(t *testing.T) error {
	t.Helper()
	if err := p.generate(); err != nil {
		return err
	}
	if err := p.startEtcd(t.Context()); err != nil {
		return err
	}
	_, err := p.load(t.Context())
	return err
}
