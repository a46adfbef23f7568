// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package supervisor

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/version"
	"holdfast.internal/k3s/internal/wire"
)

// readyz tells agents and operators whether the server has an API to offer.
func (s *Supervisor) readyz(w http.ResponseWriter, _ *http.Request) {
	if !s.ready.Load() {
		sendError(w, http.StatusServiceUnavailable, errNotReady.Error())
		return
	}
	sendText(w, "ok")
}

// config tells an agent about its cluster.
func (s *Supervisor) config(w http.ResponseWriter, _ *http.Request) {
	sendJSON(w, http.StatusOK, Config(s.options.Settings))
}

// Config is what agents learn from this server.
func Config(own *settings.Settings) wire.Config {
	return wire.Config{
		ClusterCIDRs:           networkTexts(own.ClusterCIDRs),
		ServiceCIDRs:           networkTexts(own.ServiceCIDRs),
		ServiceNodePorts:       own.ServiceNodePorts,
		ClusterDNS:             addressTexts(own.ClusterDNS),
		ClusterDomain:          own.ClusterDomain,
		FlannelBackend:         own.FlannelBackend,
		FlannelIPv6Masq:        own.FlannelIPv6Masq,
		FlannelExternalIP:      own.FlannelExternalIP,
		HTTPSPort:              own.HTTPSPort,
		DisableKubeProxy:       own.DisableKubeProxy,
		DisableNetworkPolicy:   own.DisableNetworkPolicy,
		DisableServiceLB:       own.Disabled("servicelb"),
		EgressSelectorMode:     own.EgressSelector,
		EmbeddedRegistry:       own.EmbeddedRegistry,
		SystemDefaultRegistry:  own.SystemDefaultRegistry,
		DefaultLocalStorageDir: own.DefaultLocalStoragePath,
		ServerVersion:          version.Version,
	}
}

// apiServers names all servers, for the agents' load balancer. Before there is an API nobody knows, and the list is
// empty: an agent goes on with the address that it was given.
func (s *Supervisor) apiServers(w http.ResponseWriter, r *http.Request) {
	addresses := []string{}
	if s.ready.Load() {
		ctx, cancel := context.WithTimeout(r.Context(), apiTimeout)
		defer cancel()
		found, err := s.cluster.APIServers(ctx)
		if err != nil {
			sendError(w, http.StatusServiceUnavailable, fmt.Sprintf("failed to list apiservers: %v", err))
			return
		}
		addresses = found
	}
	sendJSON(w, http.StatusOK, addresses)
}

func networkTexts(networks []*net.IPNet) []string {
	texts := make([]string, 0, len(networks))
	for _, network := range networks {
		texts = append(texts, network.String())
	}
	return texts
}

func addressTexts(addresses []net.IP) []string {
	texts := make([]string, 0, len(addresses))
	for _, address := range addresses {
		texts = append(texts, address.String())
	}
	return texts
}
