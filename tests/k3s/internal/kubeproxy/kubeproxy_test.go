// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package kubeproxy

import (
	"net"
	"testing"

	"holdfast.internal/k3s/internal/settings"
)

func TestDefaultsFollowTheFamilyOfTheNode(t *testing.T) {
	s := &settings.Settings{}
	for address, wanted := range map[string]string{"10.0.0.1": "127.0.0.1", "2001:db8::1": "::1"} {
		s.NodeIPs = []net.IP{net.ParseIP(address)}
		got := defaults(s, "/k", []string{"10.42.0.0/16", "2001:db8:42::/56"})
		if got["healthz-bind-address"] != wanted || got["cluster-cidr"] != "10.42.0.0/16,2001:db8:42::/56" {
			t.Errorf("%s: %v", address, got)
		}
	}
}
