// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package flannel sets the pods' network up: flannel's own library in a child process, and the CNI files that make
// containerd use it.
package flannel

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"holdfast.internal/k3s/internal/containerd"
	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/settings"
)

// Backends that this package can run; BackendNone leaves the network to others.
const (
	BackendNone      = "none"
	backendVXLAN     = "vxlan"
	backendHostGW    = "host-gw"
	backendWireGuard = "wireguard-native"
)

// Options are what the cluster decides.
type Options struct {
	Backend      string
	ClusterCIDRs []string
	IPv6Masq     bool
	ExternalIP   bool
	Kubeconfig   string
	// NFTables replaces iptables where the kernel's bridges bypass it.
	NFTables bool
}

// backend gives flannel's own name and options of a backend.
func backend(name string) (map[string]any, error) {
	switch name {
	case backendVXLAN:
		return map[string]any{"Type": "vxlan"}, nil
	case backendHostGW:
		return map[string]any{"Type": "host-gw"}, nil
	case backendWireGuard:
		return map[string]any{"Type": "wireguard", "PersistentKeepaliveInterval": 25, "Mode": "separate"}, nil
	}
	return nil, fmt.Errorf("cannot configure unknown flannel backend '%s'", name)
}

// netConf renders net-conf.json.
func netConf(o Options) ([]byte, error) {
	kind, err := backend(o.Backend)
	if err != nil {
		return nil, err
	}
	document := map[string]any{"EnableIPv4": false, "EnableIPv6": false, "EnableNFTables": o.NFTables, "Backend": kind}
	for _, text := range o.ClusterCIDRs {
		address, network, err := net.ParseCIDR(text)
		if err != nil {
			return nil, err
		}
		if address.To4() != nil {
			document["EnableIPv4"], document["Network"] = true, network.String()
		} else {
			document["EnableIPv6"], document["IPv6Network"] = true, network.String()
		}
	}
	return json.MarshalIndent(document, "", "  ")
}

// cniConf is the chain of plugins of each pod. The version is the newest that the flannel plugin knows.
const cniConf = `{
  "name": "cbr0",
  "cniVersion": "0.4.0",
  "plugins": [
    {
      "type": "flannel",
      "delegate": {
        "hairpinMode": true,
        "forceAddress": true,
        "isDefaultGateway": true
      }
    },
    {
      "type": "portmap",
      "capabilities": {
        "portMappings": true
      }
    },
    {
      "type": "bandwidth",
      "capabilities": {
        "bandwidth": true
      }
    }
  ]
}
`

// Prepare writes net-conf.json and the CNI file, each unless the operator named one of his own, and returns the path of
// the first. It is done before the kubelet starts, as a restarted node has pods that ask for it at once.
func Prepare(s *settings.Settings, o Options) (string, error) {
	cni := []byte(cniConf)
	if s.FlannelCNIConf != "" {
		own, err := os.ReadFile(s.FlannelCNIConf)
		if err != nil {
			return "", err
		}
		cni = own
	}
	if err := durable.Write(filepath.Join(containerd.CNIConfDir(s), "10-flannel.conflist"), cni, 0o600); err != nil {
		return "", err
	}
	if s.FlannelConf != "" {
		if _, err := os.Stat(s.FlannelConf); err != nil {
			return "", err
		}
		return s.FlannelConf, nil
	}
	content, err := netConf(o)
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.AgentDir(), "etc", "flannel", "net-conf.json")
	return path, durable.Write(path, content, 0o600)
}

// Remove takes the CNI file of an earlier start away when the cluster's backend is none now.
func Remove(s *settings.Settings) error {
	err := os.Remove(filepath.Join(containerd.CNIConfDir(s), "10-flannel.conflist"))
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
