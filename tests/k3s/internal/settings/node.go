// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package settings

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	utilnet "k8s.io/apimachinery/pkg/util/net"

	"holdfast.internal/k3s/internal/flags"
)

// NodeDir holds what identifies this host for good; it lies outside the data directory so that it survives it.
const NodeDir = "/etc/rancher/node"

func (s *Settings) node(set *flags.Set) error {
	s.Node = Node{
		NodeName:        set.String("node-name"),
		WithNodeID:      set.Bool("with-node-id"),
		NodeInternalDNS: split(set.List("node-internal-dns")),
		NodeExternalDNS: split(set.List("node-external-dns")),
		NodeLabels:      set.List("node-label"),
		NodeTaints:      set.List("node-taint"),
	}
	if s.NodeName == "" {
		host, err := os.Hostname()
		if err != nil {
			return err
		}
		s.NodeName = strings.ToLower(strings.TrimSpace(host))
	}
	if s.WithNodeID {
		id, err := nodeID(NodeDir)
		if err != nil {
			return err
		}
		s.NodeName += "-" + id
	}
	var err error
	if s.NodeExternalIPs, err = addresses(set.List("node-external-ip")); err != nil {
		return fmt.Errorf("invalid node-external-ip: %w", err)
	}
	if s.NodeIPs, err = addresses(set.List("node-ip")); err != nil {
		return fmt.Errorf("invalid node-ip: %w", err)
	}
	s.NodeIPsGiven = len(s.NodeIPs) > 0
	switch {
	case s.NodeIPsGiven:
	case set.String("flannel-iface") != "":
		s.NodeIPs, err = interfaceAddresses(set.String("flannel-iface"))
	default:
		var address net.IP
		if address, err = utilnet.ChooseHostInterface(); err == nil {
			s.NodeIPs = []net.IP{address}
		}
	}
	return err
}

// nodeID reads or makes the eight digits that with-node-id appends to the name.
func nodeID(directory string) (string, error) {
	path := filepath.Join(directory, "id")
	contents, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(contents)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	random := make([]byte, 4)
	_, _ = rand.Read(random)
	id := hex.EncodeToString(random)
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return "", err
	}
	return id, os.WriteFile(path, []byte(id+"\n"), 0o644)
}

// interfaceAddresses gives an interface's global addresses, IPv4 first.
func interfaceAddresses(name string) ([]net.IP, error) {
	device, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("unable to find interface %s", name)
	}
	found, err := device.Addrs()
	if err != nil {
		return nil, err
	}
	var four, six []net.IP
	for _, address := range found {
		network, ok := address.(*net.IPNet)
		switch {
		case !ok || !network.IP.IsGlobalUnicast():
		case network.IP.To4() != nil:
			four = append(four, network.IP.To4())
		default:
			six = append(six, network.IP)
		}
	}
	if len(four) > 0 {
		return four[:1], nil
	}
	if len(six) > 0 {
		return six[:1], nil
	}
	return nil, fmt.Errorf("unable to find an address on interface %s", name)
}

// split cuts each value at its commas and drops what is empty.
func split(values []string) []string {
	var items []string
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
	}
	return items
}

func addresses(values []string) ([]net.IP, error) {
	var parsed []net.IP
	for _, item := range split(values) {
		address := net.ParseIP(item)
		if address == nil {
			return nil, fmt.Errorf("invalid ip format '%s'", item)
		}
		if four := address.To4(); four != nil {
			address = four
		}
		parsed = append(parsed, address)
	}
	return parsed, nil
}
