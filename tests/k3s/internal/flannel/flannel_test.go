// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package flannel

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"holdfast.internal/k3s/internal/containerd"
	"holdfast.internal/k3s/internal/settings"
)

func node() *settings.Settings {
	s := &settings.Settings{}
	s.NodeIPs = []net.IP{net.ParseIP("10.0.0.1"), net.ParseIP("2001:db8::1")}
	return s
}

func TestNetConfOfEachBackend(t *testing.T) {
	for name, wanted := range map[string]string{"vxlan": "vxlan", "host-gw": "host-gw", "wireguard-native": "wireguard"} {
		content, err := netConf(Options{Backend: name, ClusterCIDRs: []string{"10.42.0.0/16", "2001:db8:42::/56"}})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Network, IPv6Network   string
			EnableIPv4, EnableIPv6 bool
			Backend                struct{ Type string }
		}
		if err := json.Unmarshal(content, &got); err != nil {
			t.Fatal(err)
		}
		if got.Backend.Type != wanted || got.Network != "10.42.0.0/16" || got.IPv6Network != "2001:db8:42::/56" || !got.EnableIPv6 {
			t.Errorf("%s: %s", name, content)
		}
	}
	if _, err := netConf(Options{Backend: "ipsec"}); err == nil {
		t.Error("an unknown backend was accepted")
	}
}

func TestArgumentsNameTheNodesAddress(t *testing.T) {
	s := node()
	got := arguments(s, Options{Kubeconfig: "/k"}, "/n")
	for _, wanted := range []string{"--iface=10.0.0.1", "--public-ip=10.0.0.1", "--public-ipv6=2001:db8::1", "--kubeconfig-file=/k"} {
		if !slices.Contains(got, wanted) {
			t.Errorf("%s is missing in %v", wanted, got)
		}
	}
	s.FlannelIface = "eth1"
	s.NodeExternalIPs = []net.IP{net.ParseIP("192.0.2.1")}
	got = arguments(s, Options{ExternalIP: true}, "/n")
	if !slices.Contains(got, "--iface=eth1") || !slices.Contains(got, "--public-ip=192.0.2.1") {
		t.Errorf("got %v", got)
	}
}

func TestTheOperatorsOwnFilesAreUsed(t *testing.T) {
	s := node()
	s.DataDir = t.TempDir()
	path, err := Prepare(s, Options{Backend: "vxlan", ClusterCIDRs: []string{"10.42.0.0/16"}})
	if err != nil || path != filepath.Join(s.DataDir, "agent/etc/flannel/net-conf.json") {
		t.Fatalf("%q, %v", path, err)
	}
	s.FlannelConf = filepath.Join(s.DataDir, "own.json")
	if _, err := Prepare(s, Options{Backend: "vxlan"}); err == nil {
		t.Error("a missing flannel-conf was no error")
	}
	if err := os.WriteFile(s.FlannelConf, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.FlannelCNIConf = s.FlannelConf
	if path, err := Prepare(s, Options{}); err != nil || path != s.FlannelConf {
		t.Errorf("%q, %v", path, err)
	}
	if got, _ := os.ReadFile(filepath.Join(containerd.CNIConfDir(s), "10-flannel.conflist")); string(got) != "{}" {
		t.Errorf("CNI file holds %q", got)
	}
	for range 2 {
		if err := Remove(s); err != nil {
			t.Error(err)
		}
	}
}
