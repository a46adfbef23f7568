// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package settings

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"holdfast.internal/k3s/internal/flags"
)

const (
	defaultClusterCIDR = "10.42.0.0/16"
	defaultServiceCIDR = "10.43.0.0/16"
	// dnsOffset is the place of the cluster's DNS in the service network.
	dnsOffset = 10
)

func (s *Settings) network(set *flags.Set) error {
	var err error
	if s.ClusterCIDRs, err = networks("cluster-cidr", set.List("cluster-cidr"), defaultClusterCIDR); err != nil {
		return err
	}
	if s.ServiceCIDRs, err = networks("service-cidr", set.List("service-cidr"), defaultServiceCIDR); err != nil {
		return err
	}
	if s.ClusterDNS, err = clusterDNS(split(set.List("cluster-dns")), s.ServiceCIDRs); err != nil {
		return err
	}
	s.ServiceNodePorts = set.String("service-node-port-range")
	if err := checkPortRange(s.ServiceNodePorts); err != nil {
		return fmt.Errorf("invalid port range %s: %w", s.ServiceNodePorts, err)
	}
	if s.FlannelBackend == "none" || len(s.NodeIPs) == 0 || s.DisableAgent {
		return nil
	}
	if families(networkAddresses(s.ClusterCIDRs)) != families(s.NodeIPs) {
		return fmt.Errorf("cluster-cidr: %v and node-ip: %v, must share the same IP version (IPv4, IPv6 or dual-stack)",
			s.ClusterCIDRs, s.NodeIPs)
	}
	if families(networkAddresses(s.ClusterCIDRs)) != families(networkAddresses(s.ServiceCIDRs)) {
		return fmt.Errorf("cluster-cidr: %v and service-cidr: %v, must share the same IP version (IPv4, IPv6 or dual-stack)",
			s.ClusterCIDRs, s.ServiceCIDRs)
	}
	return nil
}

func networks(flag string, given []string, fallback string) ([]*net.IPNet, error) {
	items := split(given)
	if len(items) == 0 {
		items = []string{fallback}
	}
	var parsed []*net.IPNet
	for _, item := range items {
		_, network, err := net.ParseCIDR(item)
		if err != nil {
			return nil, fmt.Errorf("invalid %s %s: %w", flag, item, err)
		}
		parsed = append(parsed, network)
	}
	return parsed, nil
}

func clusterDNS(given []string, services []*net.IPNet) ([]net.IP, error) {
	var found []net.IP
	for _, item := range given {
		address := net.ParseIP(item)
		if address == nil {
			return nil, fmt.Errorf("invalid cluster-dns address %s", item)
		}
		found = append(found, address)
	}
	if len(found) > 0 {
		return found, nil
	}
	for _, network := range services {
		address := Nth(network, dnsOffset)
		if address == nil {
			return nil, fmt.Errorf("cannot configure default cluster-dns address: service-cidr %s is too small", network)
		}
		found = append(found, address)
	}
	return found, nil
}

// Nth gives the address at an offset in a network, or nil where the network ends before it.
func Nth(network *net.IPNet, offset int) net.IP {
	address := append(net.IP(nil), network.IP...)
	for position := len(address) - 1; position >= 0 && offset > 0; position-- {
		offset += int(address[position])
		address[position] = byte(offset)
		offset >>= 8
	}
	if !network.Contains(address) {
		return nil
	}
	return address
}

// checkPortRange accepts what kube-apiserver's own parser accepts in practice: A-B, A+N, or one port.
func checkPortRange(text string) error {
	first, last, separated := strings.Cut(text, "-")
	if base, count, added := strings.Cut(text, "+"); added {
		start, err := port(base)
		if err != nil {
			return err
		}
		size, err := strconv.Atoi(count)
		if err != nil {
			return fmt.Errorf("unable to parse port range offset: %s", count)
		}
		_, err = port(strconv.Itoa(start + size))
		return err
	}
	start, err := port(first)
	if err != nil || !separated {
		return err
	}
	end, err := port(last)
	if err != nil {
		return err
	}
	if start > end {
		return errors.New("end port cannot be less than start port: " + text)
	}
	return nil
}

func port(text string) (int, error) {
	number, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return 0, err
	}
	if number < 0 || number > 65535 {
		return 0, fmt.Errorf("the port range cannot be greater than 65535: %s", text)
	}
	return number, nil
}

func networkAddresses(networks []*net.IPNet) []net.IP {
	var found []net.IP
	for _, network := range networks {
		found = append(found, network.IP)
	}
	return found
}

// families tells which IP versions occur: bit 0 for IPv4, bit 1 for IPv6.
func families(addresses []net.IP) int {
	found := 0
	for _, address := range addresses {
		if address.To4() != nil {
			found |= 1
		} else {
			found |= 2
		}
	}
	return found
}
