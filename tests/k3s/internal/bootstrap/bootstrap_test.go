// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package bootstrap

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast.internal/k3s/internal/datastore"
	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/etcdtest"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/token"
)

// server is one host's settings, with a data directory of its own.
func server(t *testing.T, name, secret string, etcd *etcdtest.Server) *settings.Settings {
	t.Helper()
	s := &settings.Settings{Role: settings.RoleServer}
	s.DataDir, s.NodeName, s.Token = filepath.Join(t.TempDir(), "k3s"), name, secret
	s.NodeIPs = []net.IP{net.ParseIP("192.0.2.1")}
	s.ClusterDomain, s.SecretsEncryptionProvider = "cluster.local", "aescbc"
	_, services, err := net.ParseCIDR("10.43.0.0/16")
	if err != nil {
		t.Fatal(err)
	}
	s.ServiceCIDRs = []*net.IPNet{services}
	if etcd != nil {
		s.Datastore = settings.Datastore{
			Endpoint: etcd.Endpoint, Endpoints: []string{etcd.Endpoint},
			CAFile: etcd.Authority.Cert, CertFile: etcd.Client.Cert, KeyFile: etcd.Client.Key,
		}
	}
	return s
}

// begin does what a start does, and leaves the store open until the test ends.
func begin(t *testing.T, s *settings.Settings) (*material.Material, *datastore.Store, error) {
	t.Helper()
	store, err := datastore.Open(t.Context(), s)
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { _ = store.Close() })
	m, err := Prepare(t.Context(), s, store)
	return m, store, err
}

func mustBegin(t *testing.T, s *settings.Settings) (*material.Material, *datastore.Store) {
	t.Helper()
	m, store, err := begin(t, s)
	if err != nil {
		t.Fatal(err)
	}
	return m, store
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// sameSecrets compares all that two servers must share.
func sameSecrets(t *testing.T, one, other *material.Material) {
	t.Helper()
	theirs := places(other)
	for name, where := range places(one) {
		if _, err := os.Stat(where.path); err != nil && where.optional {
			continue
		}
		if !bytes.Equal(read(t, where.path), read(t, theirs[name].path)) {
			t.Errorf("%s differs between the servers", name)
		}
	}
}

func age(t *testing.T, path string, by time.Duration) {
	t.Helper()
	at := time.Now().Add(-by)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

// recorded collects the journal for as long as the test lasts.
func recorded(t *testing.T) *journalBuffer {
	t.Helper()
	buffer := &journalBuffer{}
	journal.SetOutput(buffer)
	t.Cleanup(func() { journal.SetOutput(os.Stderr) })
	return buffer
}

type journalBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *journalBuffer) Write(line []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(line)
}

func (b *journalBuffer) count(part string) int {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return strings.Count(b.text.String(), part)
}

func TestSecondServerNeedsOnlyTheToken(t *testing.T) {
	etcd := etcdtest.Start(t)
	lines := recorded(t)
	first, store := mustBegin(t, server(t, "one", "secret", etcd))
	entries, err := store.List(t.Context(), keyPrefix)
	if err != nil || len(entries) != 1 || entries[0].Key != storageKey("secret") || len(entries[0].Value) < 1000 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	if bytes.Contains(entries[0].Value, []byte("BEGIN")) {
		t.Error("the datastore holds plain text")
	}
	full := strings.TrimSpace(string(read(t, first.ServerToken)))
	second, _ := mustBegin(t, server(t, "two", full, etcd))
	sameSecrets(t, first, second)
	if lines.count("Bootstrap key locked for initial create") != 1 || lines.count("Saving cluster bootstrap data") != 1 {
		t.Errorf("journal:\n%s", lines.text.String())
	}
	if !strings.HasSuffix(full, "::server:secret") || !bytes.Equal(read(t, first.AgentToken), read(t, second.NodeToken)) {
		t.Errorf("token %s", full)
	}
}

func TestServersThatStartTogetherShareOneCluster(t *testing.T) {
	etcd := etcdtest.Start(t)
	recorded(t)
	const count = 4
	materials, failures := make([]*material.Material, count), make([]error, count)
	var group sync.WaitGroup
	for index := range count {
		s := server(t, "node", "secret", etcd)
		group.Go(func() { materials[index], _, failures[index] = begin(t, s) })
	}
	group.Wait()
	for index, failure := range failures {
		if failure != nil {
			t.Fatal(failure)
		}
		sameSecrets(t, materials[0], materials[index])
	}
}

func TestRestartChangesNothing(t *testing.T) {
	etcd := etcdtest.Start(t)
	s := server(t, "one", "secret", etcd)
	m, store := mustBegin(t, s)
	before, err := store.List(t.Context(), keyPrefix)
	if err != nil {
		t.Fatal(err)
	}
	cert := read(t, m.ServingAPIServer.Cert)
	mustBegin(t, s)
	after, err := store.List(t.Context(), keyPrefix)
	if err != nil || len(after) != 1 || after[0].Revision != before[0].Revision {
		t.Errorf("the data were written again: %v, %v", after, err)
	}
	if !bytes.Equal(cert, read(t, m.ServingAPIServer.Cert)) {
		t.Error("a certificate was renewed")
	}
}

func TestWrongTokenIsRefusedAndLeavesNothing(t *testing.T) {
	etcd := etcdtest.Start(t)
	mustBegin(t, server(t, "one", "secret", etcd))
	other := server(t, "two", "wrong", etcd)
	_, _, err := begin(t, other)
	if err == nil || !strings.Contains(err.Error(), "bootstrap data already found and encrypted with different token") {
		t.Fatalf("%v", err)
	}
	other.Token = "secret"
	mustBegin(t, other)
}

func TestServerWithoutTokenMakesUpAClusterAndFailsToSaveIt(t *testing.T) {
	etcd := etcdtest.Start(t)
	mustBegin(t, server(t, "one", "secret", etcd))
	other := server(t, "two", "", etcd)
	_, _, err := begin(t, other)
	if err == nil || !strings.HasPrefix(err.Error(), "failed to save bootstrap data: ") {
		t.Fatalf("%v", err)
	}
	if _, err := os.Stat(material.New(other).ServerCA.Cert); err != nil {
		t.Error("no CA was made up")
	}
}

func TestServerWithoutTokenKeepsTheOneItMade(t *testing.T) {
	etcd := etcdtest.Start(t)
	s := server(t, "one", "", etcd)
	m, _ := mustBegin(t, s)
	users, err := token.LoadUsers(m.Passwords)
	if err != nil || len(users.ServerPassword) != 32 {
		t.Fatalf("%v, %v", users, err)
	}
	mustBegin(t, s)
	mustBegin(t, server(t, "two", users.ServerPassword, etcd))
}

func TestStaleLockIsRetaken(t *testing.T) {
	etcd := etcdtest.Start(t)
	lines := recorded(t)
	s := server(t, "one", "secret", etcd)
	store, err := datastore.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Create(t.Context(), storageKey("secret"), nil); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	mustBegin(t, s)
	if spent := time.Since(begun); spent < 5*time.Second || spent > 15*time.Second {
		t.Errorf("the lock was retaken after %v", spent)
	}
	if waits := lines.count("Bootstrap key is locked - waiting for data to be populated by another server"); waits != 5 {
		t.Errorf("%d waits", waits)
	}
}

func TestServerWhoseLockWasTakenLoadsTheOthersData(t *testing.T) {
	etcd := etcdtest.Start(t)
	s := server(t, "slow", "secret", etcd)
	store, err := datastore.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	slow := &preparation{settings: s, store: store, material: material.New(s)}
	if err := slow.chooseUsers(); err != nil {
		t.Fatal(err)
	}
	lock, err := slow.load(t.Context())
	if err != nil || lock == nil {
		t.Fatal(lock, err)
	}
	if err := slow.generate(); err != nil {
		t.Fatal(err)
	}
	fast, _ := mustBegin(t, server(t, "fast", "secret", etcd))
	if err := slow.save(t.Context(), *lock); err == nil {
		t.Fatal("the slow server saved over the fast one's data")
	}
	mine, _ := mustBegin(t, s)
	sameSecrets(t, fast, mine)
}

func TestNewerFileOnDiskStopsTheServer(t *testing.T) {
	etcd := etcdtest.Start(t)
	s := server(t, "one", "secret", etcd)
	m, _ := mustBegin(t, s)
	original := read(t, m.ServerCA.Key)
	if err := durable.Write(m.ServerCA.Key, append(original, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(4 * time.Second)
	if err := os.Chtimes(m.ServerCA.Key, at, at); err != nil {
		t.Fatal(err)
	}
	_, _, err := begin(t, s)
	want := m.ServerCA.Key + " newer than datastore and could cause a cluster outage. " +
		"Remove the file(s) from disk and restart to be recreated from datastore."
	if err == nil || err.Error() != want {
		t.Fatalf("%v", err)
	}
	if err := os.Remove(m.ServerCA.Key); err != nil {
		t.Fatal(err)
	}
	mustBegin(t, s)
	if !bytes.Equal(original, read(t, m.ServerCA.Key)) {
		t.Error("the key was not recreated from the datastore")
	}
}

func TestOlderFileOnDiskIsUpdated(t *testing.T) {
	etcd := etcdtest.Start(t)
	lines := recorded(t)
	s := server(t, "one", "secret", etcd)
	m, _ := mustBegin(t, s)
	original := read(t, m.ServiceKey)
	if err := durable.Write(m.ServiceKey, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	age(t, m.ServiceKey, time.Hour)
	mustBegin(t, s)
	if !bytes.Equal(original, read(t, m.ServiceKey)) || lines.count(m.ServiceKey+" will be updated from the datastore.") != 1 {
		t.Errorf("journal:\n%s", lines.text.String())
	}
}
