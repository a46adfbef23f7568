// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package certificates

import (
	"net"
	"slices"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
)

const masters = "system:masters"

// EnsureAuthorities makes those of the five CAs and the service account key that are not there yet.
func EnsureAuthorities(m *material.Material) error {
	for _, authority := range []struct {
		pair material.Pair
		name string
	}{
		{m.ServerCA, "k3s-server-ca"},
		{m.ClientCA, "k3s-client-ca"},
		{m.RequestHeaderCA, "k3s-request-header-ca"},
		{m.EtcdServerCA, "etcd-server-ca"},
		{m.EtcdPeerCA, "etcd-peer-ca"},
	} {
		created, err := EnsureAuthority(authority.pair, authority.name)
		if err != nil {
			return err
		}
		if created {
			journal.Infof("generated self-signed CA certificate %s", authority.pair.Cert)
		}
	}
	return EnsureServiceKey(m.ServiceKey)
}

// leaf is one certificate that a server keeps for itself.
type leaf struct {
	authority material.Pair
	pair      material.Pair
	request   Request
}

// EnsureLeaves signs and renews all of a server's certificates but those of etcd and kubelet.
func EnsureLeaves(s *settings.Settings, m *material.Material) error {
	dns, ips := ServerNames(s)
	loopbackNames, loopback := []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	client := func(pair material.Pair, name string, groups ...string) leaf {
		return leaf{m.ClientCA, pair, Request{CommonName: name, Organization: groups, Usage: Client}}
	}
	serving := func(pair material.Pair, name string, dns []string, ips []net.IP) leaf {
		return leaf{m.ServerCA, pair, Request{CommonName: name, DNS: dns, IPs: ips, Usage: Server}}
	}
	_, err := ensure([]leaf{
		client(m.Admin, "system:admin", masters),
		client(m.Supervisor, "system:k3s-supervisor", masters),
		client(m.ControllerManager, "system:kube-controller-manager"),
		client(m.Scheduler, "system:kube-scheduler"),
		client(m.CloudController, "k3s-cloud-controller-manager"),
		client(m.K3sController, "system:k3s-controller"),
		client(m.KubeProxy, "system:kube-proxy"),
		client(m.APIServerClient, "system:apiserver", masters),
		{m.RequestHeaderCA, m.AuthProxy, Request{CommonName: "system:auth-proxy", Usage: Client}},
		serving(m.ServingAPIServer, "kube-apiserver", dns, ips),
		serving(m.ServingControllerManager, "kube-controller-manager", loopbackNames, loopback),
		serving(m.ServingScheduler, "kube-scheduler", loopbackNames, loopback),
	})
	return err
}

// EnsureEtcdLeaves signs and renews the three certificates of an embedded etcd. It tells whether one was written, since
// a running etcd then speaks with an old one.
func EnsureEtcdLeaves(s *settings.Settings, m *material.Material) (written bool, err error) {
	dns, ips := nodeNames(s)
	return ensure([]leaf{
		{m.EtcdServerCA, m.EtcdServer, Request{CommonName: "etcd-server", DNS: dns, IPs: ips, Usage: Both}},
		{m.EtcdServerCA, m.EtcdClient, Request{CommonName: "etcd-client", Usage: Client}},
		{m.EtcdPeerCA, m.EtcdPeer, Request{CommonName: "etcd-peer", DNS: dns, IPs: ips, Usage: Both}},
	})
}

func ensure(leaves []leaf) (written bool, err error) {
	loaded := map[material.Pair]*Authority{}
	for _, wanted := range leaves {
		authority := loaded[wanted.authority]
		if authority == nil {
			if authority, err = LoadAuthority(wanted.authority); err != nil {
				return written, err
			}
			loaded[wanted.authority] = authority
		}
		changed, err := authority.EnsureLeaf(wanted.pair, wanted.request)
		if err != nil {
			return written, err
		}
		written = written || changed
	}
	return written, nil
}

// ServerNames are the names and addresses under which clients may reach this server: those of the certificate on 6443
// and of kube-apiserver's own.
func ServerNames(s *settings.Settings) (dns []string, ips []net.IP) {
	dns, ips = nodeNames(s)
	dns = append(dns, "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc."+s.ClusterDomain)
	if s.AdvertiseIP != nil {
		ips = append(ips, s.AdvertiseIP)
	}
	for _, network := range s.ServiceCIDRs {
		ips = append(ips, firstAddress(network))
	}
	return unique(dns, ips, s.TLSSANs)
}

// nodeNames are those of the host itself, without the cluster's.
func nodeNames(s *settings.Settings) (dns []string, ips []net.IP) {
	dns = []string{"localhost", s.NodeName}
	ips = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	ips = append(ips, s.NodeIPs...)
	ips = append(ips, s.NodeExternalIPs...)
	return unique(dns, ips, nil)
}

// unique drops repeats and sorts the extra names into DNS names and addresses.
func unique(dns []string, ips []net.IP, extra []string) ([]string, []net.IP) {
	for _, name := range extra {
		if address := net.ParseIP(name); address != nil {
			ips = append(ips, address)
		} else if name != "" {
			dns = append(dns, name)
		}
	}
	var uniqueIPs []net.IP
	for _, address := range ips {
		if !slices.ContainsFunc(uniqueIPs, address.Equal) {
			uniqueIPs = append(uniqueIPs, address)
		}
	}
	var uniqueDNS []string
	for _, name := range dns {
		if name != "" && !slices.Contains(uniqueDNS, name) {
			uniqueDNS = append(uniqueDNS, name)
		}
	}
	return uniqueDNS, uniqueIPs
}

// firstAddress is the address of the "kubernetes" Service: the network's own plus one.
func firstAddress(network *net.IPNet) net.IP {
	address := slices.Clone(network.IP)
	for index := len(address) - 1; index >= 0; index-- {
		address[index]++
		if address[index] != 0 {
			break
		}
	}
	return address
}
