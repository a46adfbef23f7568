// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package bootstrap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/wire"
)

var errMismatch = errors.New("critical configuration value mismatch between servers")

// compareSettings holds this server's settings against those of the server that it joins. Nothing does so with an
// external datastore, where a server has no other to ask.
func (p *preparation) compareSettings(ctx context.Context) error {
	content, err := p.remote.Get(ctx, wire.PathConfig)
	if err != nil {
		return err
	}
	var theirs wire.Config
	if err := json.Unmarshal(content, &theirs); err != nil {
		return err
	}
	differences := differences(p.settings, theirs)
	for _, difference := range differences {
		journal.Errorf("critical configuration mismatched: %s", difference)
	}
	if len(differences) > 0 {
		return errMismatch
	}
	return nil
}

// differences names what is not as on the other server.
func differences(s *settings.Settings, theirs wire.Config) []string {
	var found []string
	compare := func(name string, equal bool, ours, theirs any) {
		if !equal {
			found = append(found, fmt.Sprintf("%s: %v here, %v there", name, ours, theirs))
		}
	}
	list := func(name string, ours, theirs []string) {
		compare(name, slices.Equal(ours, theirs), ours, theirs)
	}
	text := func(name, ours, theirs string) { compare(name, ours == theirs, ours, theirs) }
	flag := func(name string, ours, theirs bool) { compare(name, ours == theirs, ours, theirs) }

	list("cluster-cidr", texts(s.ClusterCIDRs), theirs.ClusterCIDRs)
	list("service-cidr", texts(s.ServiceCIDRs), theirs.ServiceCIDRs)
	list("cluster-dns", texts(s.ClusterDNS), theirs.ClusterDNS)
	text("cluster-domain", s.ClusterDomain, theirs.ClusterDomain)
	text("flannel-backend", s.FlannelBackend, theirs.FlannelBackend)
	flag("flannel-ipv6-masq", s.FlannelIPv6Masq, theirs.FlannelIPv6Masq)
	flag("flannel-external-ip", s.FlannelExternalIP, theirs.FlannelExternalIP)
	text("egress-selector-mode", s.EgressSelector, theirs.EgressSelectorMode)
	flag("disable-network-policy", s.DisableNetworkPolicy, theirs.DisableNetworkPolicy)
	flag("disable: servicelb", s.Disabled("servicelb"), theirs.DisableServiceLB)
	flag("embedded-registry", s.EmbeddedRegistry, theirs.EmbeddedRegistry)
	return found
}

func texts[T fmt.Stringer](values []T) []string {
	all := make([]string, 0, len(values))
	for _, value := range values {
		all = append(all, value.String())
	}
	return all
}
