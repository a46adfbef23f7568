// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package certificates

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/token"
)

func serverSettings(t *testing.T) *settings.Settings {
	t.Helper()
	s := &settings.Settings{Role: settings.RoleServer}
	s.DataDir = t.TempDir()
	s.NodeName = "alpha"
	s.NodeIPs = []net.IP{net.ParseIP("192.0.2.1")}
	s.ClusterDomain = "cluster.local"
	_, services, err := net.ParseCIDR("10.43.0.0/16")
	if err != nil {
		t.Fatal(err)
	}
	s.ServiceCIDRs = []*net.IPNet{services}
	return s
}

func prepared(t *testing.T, s *settings.Settings) *material.Material {
	t.Helper()
	m := material.New(s)
	if err := EnsureAuthorities(m); err != nil {
		t.Fatal(err)
	}
	if err := EnsureLeaves(s, m); err != nil {
		t.Fatal(err)
	}
	return m
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestSecondStartTouchesNothing(t *testing.T) {
	s := serverSettings(t)
	m := prepared(t, s)
	before := map[string]time.Time{}
	walk := func(visit func(path string, modified time.Time)) {
		err := filepath.Walk(s.DataDir, func(path string, information os.FileInfo, err error) error {
			if err == nil && information.Mode().IsRegular() {
				visit(path, information.ModTime())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	walk(func(path string, modified time.Time) { before[path] = modified })
	if len(before) != 5*2+1+12*2 {
		t.Errorf("%d files were made: %v", len(before), before)
	}
	if err := EnsureAuthorities(m); err != nil {
		t.Fatal(err)
	}
	if err := EnsureLeaves(s, m); err != nil {
		t.Fatal(err)
	}
	walk(func(path string, modified time.Time) {
		if !before[path].Equal(modified) {
			t.Errorf("%s was written again", path)
		}
	})
}

func TestKeysAreForRootOnly(t *testing.T) {
	m := prepared(t, serverSettings(t))
	for _, path := range []string{m.ServerCA.Key, m.Admin.Key, m.ServiceKey, m.EtcdPeerCA.Key} {
		information, err := os.Stat(path)
		if err != nil || information.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, information.Mode(), err)
		}
	}
}

func TestLeavesLiveAYearAndAuthoritiesTen(t *testing.T) {
	m := prepared(t, serverSettings(t))
	chain, err := LoadChain(m.Admin.Cert)
	if err != nil {
		t.Fatal(err)
	}
	if len(chain) != 2 {
		t.Fatalf("%d certificates in the leaf's file, want leaf and CA", len(chain))
	}
	for index, want := range []time.Duration{365 * 24 * time.Hour, 3650 * 24 * time.Hour} {
		if left := time.Until(chain[index].NotAfter); left > want || left < want-time.Minute {
			t.Errorf("%s lives for %v, want %v", chain[index].Subject, left, want)
		}
	}
	if subject := chain[0].Subject.String(); subject != "CN=system:admin,O=system:masters" {
		t.Errorf("subject %s", subject)
	}
}

func TestLeafNearItsEndIsRenewedWithItsKey(t *testing.T) {
	s := serverSettings(t)
	t.Setenv(lifetimeVariable, "119")
	m := prepared(t, s)
	cert, key := read(t, m.Scheduler.Cert), read(t, m.Scheduler.Key)
	t.Setenv(lifetimeVariable, "")
	if err := EnsureLeaves(s, m); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(cert, read(t, m.Scheduler.Cert)) {
		t.Error("a leaf with 119 days left was kept")
	}
	if !bytes.Equal(key, read(t, m.Scheduler.Key)) {
		t.Error("the key was replaced")
	}
}

func TestNewNamesRenewTheServingCertificateOnly(t *testing.T) {
	s := serverSettings(t)
	m := prepared(t, s)
	admin, serving := read(t, m.Admin.Cert), read(t, m.ServingAPIServer.Cert)
	s.TLSSANs = []string{"vip.example", "192.0.2.100"}
	if err := EnsureLeaves(s, m); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(serving, read(t, m.ServingAPIServer.Cert)) || !bytes.Equal(admin, read(t, m.Admin.Cert)) {
		t.Fatal("exactly the serving certificate should be new")
	}
	chain, err := LoadChain(m.ServingAPIServer.Cert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(read(t, m.ServerCA.Cert))
	for _, name := range []string{
		"vip.example", "192.0.2.100", "192.0.2.1", "alpha", "localhost", "127.0.0.1", "10.43.0.1",
		"kubernetes.default.svc.cluster.local",
	} {
		if _, err := chain[0].Verify(x509.VerifyOptions{Roots: pool, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewAuthorityRenewsItsLeaves(t *testing.T) {
	s := serverSettings(t)
	m := prepared(t, s)
	scheduler := read(t, m.Scheduler.Cert)
	serving := read(t, m.ServingAPIServer.Cert)
	if err := os.Remove(m.ClientCA.Cert); err != nil {
		t.Fatal(err)
	}
	if err := EnsureAuthorities(m); err != nil {
		t.Fatal(err)
	}
	if err := EnsureLeaves(s, m); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(scheduler, read(t, m.Scheduler.Cert)) || !bytes.Equal(serving, read(t, m.ServingAPIServer.Cert)) {
		t.Error("exactly the leaves of the new CA should be new")
	}
}

func TestOwnAuthorityWithIntermediateIsUsedAndHashed(t *testing.T) {
	s := serverSettings(t)
	m := material.New(s)
	folder := t.TempDir()
	root := material.Pair{Cert: filepath.Join(folder, "root.crt"), Key: filepath.Join(folder, "root.key")}
	if _, err := EnsureAuthority(root, "root"); err != nil {
		t.Fatal(err)
	}
	signIntermediate(t, root, m.ServerCA)
	prepared(t, s)
	chain, err := LoadChain(m.ServingAPIServer.Cert)
	if err != nil {
		t.Fatal(err)
	}
	if len(chain) != 3 || chain[2].Subject.CommonName != chain[1].Issuer.CommonName {
		t.Fatalf("chain of %d certificates", len(chain))
	}
	hash, err := token.CAHash(read(t, m.ServerCA.Cert))
	sum := sha256.Sum256(chain[2].Raw)
	if want := hex.EncodeToString(sum[:]); err != nil || hash != want {
		t.Errorf("hash of a bundle: %s, %v; want the root's %s", hash, err, want)
	}
}

func TestHashOfOneCertificateIsThatOfTheFile(t *testing.T) {
	m := prepared(t, serverSettings(t))
	content := read(t, m.ServerCA.Cert)
	sum := sha256.Sum256(content)
	hash, err := token.CAHash(content)
	if err != nil || hash != hex.EncodeToString(sum[:]) {
		t.Errorf("%s, %v", hash, err)
	}
	wrong := token.Token{CAHash: strings.Repeat("0", 64)}
	want := "token CA hash does not match the Cluster CA certificate hash: " + wrong.CAHash + " != " + hash
	if err := wrong.VerifyCA(content); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestForeignKeyOfAnAuthorityIsRefused(t *testing.T) {
	m := prepared(t, serverSettings(t))
	if _, err := LoadAuthority(material.Pair{Cert: m.ServerCA.Cert, Key: m.ClientCA.Key}); err == nil {
		t.Error("a key of another CA was taken")
	}
	if _, err := LoadAuthority(m.Admin); err == nil {
		t.Error("a leaf was taken for a CA")
	}
}
