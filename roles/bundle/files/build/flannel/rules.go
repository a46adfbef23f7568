// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"os"

	"github.com/flannel-io/flannel/pkg/backend"
	"github.com/flannel-io/flannel/pkg/ip"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/flannel-io/flannel/pkg/trafficmngr"
	"github.com/flannel-io/flannel/pkg/trafficmngr/iptables"
	"github.com/flannel-io/flannel/pkg/trafficmngr/nftables"
	"github.com/joho/godotenv"
	"k8s.io/klog/v2"
)

// applyRules puts the packet filter's rules in place, after it took away what the other kind of filter may hold from an
// earlier start.
func applyRules(ctx context.Context, o options, config *subnet.Config, network backend.Network) error {
	if err := bridgeIsFiltered(config); err != nil {
		return err
	}
	var wanted, other trafficmngr.TrafficManager = &iptables.IPTablesManager{}, &nftables.NFTablesManager{}
	if config.EnableNFTables {
		wanted, other = other, wanted
	}
	if err := other.CleanUp(ctx); err != nil {
		// A kernel without the other kind cannot hold rules of it either.
		klog.Warningf("Rules of the kind that is not used could not be removed: %v", err)
	}
	if err := wanted.Init(ctx); err != nil {
		return fmt.Errorf("packet filter: %w", err)
	}
	if o.ipMasq {
		before := earlierSubnets(o.subnetFile)
		err := wanted.SetupAndEnsureMasqRules(ctx,
			config.Network, before.subnet, before.network,
			config.IPv6Network, before.subnet6, before.network6,
			network.Lease(), o.resync, false)
		if err != nil {
			return fmt.Errorf("masquerading: %w", err)
		}
	}
	if o.forwardRules {
		wanted.SetupAndEnsureForwardRules(ctx, config.Network, config.IPv6Network, o.resync)
	}
	return nil
}

// bridgeIsFiltered refuses a kernel whose bridges bypass iptables: Services would work between nodes and not on one.
func bridgeIsFiltered(config *subnet.Config) error {
	if config.EnableNFTables {
		return nil
	}
	for name, used := range map[string]bool{"iptables": config.EnableIPv4, "ip6tables": config.EnableIPv6} {
		if path := "/proc/sys/net/bridge/bridge-nf-call-" + name; used {
			if _, err := os.Stat(path); err != nil {
				return fmt.Errorf("the kernel module br_netfilter is not loaded: %w", err)
			}
		}
	}
	return nil
}

type subnets struct {
	network, subnet   ip.IP4Net
	network6, subnet6 ip.IP6Net
}

// earlierSubnets reads what an earlier start wrote, so that rules for another network are replaced. Whatever cannot be
// read counts as never written.
func earlierSubnets(path string) subnets {
	var before subnets
	values, err := godotenv.Read(path)
	if err != nil {
		return before
	}
	for key, target := range map[string]*ip.IP4Net{"FLANNEL_NETWORK": &before.network, "FLANNEL_SUBNET": &before.subnet} {
		if values[key] != "" {
			_ = target.UnmarshalJSON([]byte(`"` + values[key] + `"`))
		}
	}
	for key, target := range map[string]*ip.IP6Net{"FLANNEL_IPV6_NETWORK": &before.network6, "FLANNEL_IPV6_SUBNET": &before.subnet6} {
		if values[key] != "" {
			_ = target.UnmarshalJSON([]byte(`"` + values[key] + `"`))
		}
	}
	return before
}
