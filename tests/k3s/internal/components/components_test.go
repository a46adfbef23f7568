// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package components

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
)

func external() *settings.Settings {
	s := &settings.Settings{}
	s.DataDir = "/data"
	s.HTTPSPort, s.APIServerPort, s.AdvertisePort = 6443, 6444, 6443
	s.ClusterDomain = "cluster.local"
	s.ClusterCIDRs = []*net.IPNet{{IP: net.IPv4(10, 42, 0, 0).To4(), Mask: net.CIDRMask(16, 32)}}
	s.ServiceCIDRs = []*net.IPNet{{IP: net.IPv4(10, 43, 0, 0).To4(), Mask: net.CIDRMask(16, 32)}}
	s.AdvertiseIP = net.IPv4(192, 0, 2, 1)
	s.Datastore = settings.Datastore{
		Endpoint: "https://a:2379,https://b:2379", Endpoints: []string{"https://a:2379", "https://b:2379"},
		CAFile: "/ca", CertFile: "/cert", KeyFile: "/key",
	}
	return s
}

func TestTheAPIServerGetsWhatK3sGivesIt(t *testing.T) {
	s := external()
	arguments := APIServerDefaults(s, material.New(s))
	for key, want := range map[string]string{
		"anonymous-auth":           "false",
		"authorization-mode":       "Node,RBAC",
		"enable-admission-plugins": "NodeRestriction",
		"profiling":                "false",
		"etcd-servers":             "https://a:2379,https://b:2379",
		"etcd-keyfile":             "/key",
		"bind-address":             "127.0.0.1",
		"secure-port":              "6444",
		"advertise-address":        "192.0.2.1",
		"service-cluster-ip-range": "10.43.0.0/16",
		"service-account-issuer":   "https://kubernetes.default.svc.cluster.local",
		"api-audiences":            "https://kubernetes.default.svc.cluster.local,k3s",
		"client-ca-file":           "/data/server/tls/client-ca.crt",
	} {
		if arguments[key] != want {
			t.Errorf("%s: got %q", key, arguments[key])
		}
	}
	if _, encrypted := arguments["encryption-provider-config"]; encrypted {
		t.Error("secrets are not to be encrypted")
	}
	if suites := strings.Split(arguments["tls-cipher-suites"], ","); len(suites) != 6 {
		t.Errorf("cipher suites: %v", suites)
	}
}

func TestConfigurationFilesReplaceTheirFlags(t *testing.T) {
	s := external()
	s.APIServerArgs = []string{"authorization-config=/a.yaml", "--authentication-config=/b.yaml"}
	arguments := APIServerDefaults(s, material.New(s))
	for _, key := range []string{"authorization-mode", "anonymous-auth"} {
		if value, present := arguments[key]; present {
			t.Errorf("%s=%s stands beside its file", key, value)
		}
	}
}

func TestAnEmptyEndpointFileIsNoArgument(t *testing.T) {
	s := external()
	s.Datastore.CAFile, s.Datastore.CertFile, s.Datastore.KeyFile = "", "", ""
	arguments := APIServerDefaults(s, material.New(s))
	if _, present := arguments["etcd-cafile"]; present {
		t.Error("etcd-cafile is given without a file")
	}
}

func TestTheAPIServerIsFoundOnLoopback(t *testing.T) {
	for bind, want := range map[string]string{
		"": "127.0.0.1:6444", "0.0.0.0": "127.0.0.1:6444", "::": "127.0.0.1:6444", "192.0.2.7": "192.0.2.7:6444",
	} {
		s := external()
		s.APIServerBindAddress = bind
		if got := APIServerAddress(s); got != want {
			t.Errorf("%q: got %s", bind, got)
		}
	}
}

func TestTheAdministratorsFileHasTheModeThatWasAskedFor(t *testing.T) {
	dir := t.TempDir()
	s := external()
	s.DataDir = dir
	s.KubeconfigPath = filepath.Join(dir, "etc", "k3s.yaml")
	m := material.New(s)
	for _, path := range []string{m.ServerCA.Cert, m.Admin.Cert, m.Admin.Key} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("pem"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]os.FileMode{"": 0o600, "0600": 0o600, "640": 0o640, "0644": 0o644} {
		s.KubeconfigMode = text
		if err := WriteAdminKubeconfig(s, m); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(s.KubeconfigPath)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%q: got %v", text, info.Mode())
		}
	}
	content, err := os.ReadFile(s.KubeconfigPath)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"server: https://127.0.0.1:6443", "client-key-data: cGVt", "current-context: default"} {
		if !strings.Contains(string(content), want) {
			t.Errorf("%q is missing in\n%s", want, content)
		}
	}
	s.KubeconfigMode = "rw"
	if err := WriteAdminKubeconfig(s, m); err == nil {
		t.Error("a mode of letters was accepted")
	}
}
