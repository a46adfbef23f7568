// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package agent

import (
	"os"
	"os/exec"

	"holdfast.internal/k3s/internal/hostfacts"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/settings"
)

// prepareKernel loads what pods and Services need, and lets packets through. What cannot be set is reported and no
// reason to stop: a container host may have it already without letting anyone see so.
func prepareKernel(s *settings.Settings) {
	for _, module := range []string{"overlay", "nf_conntrack", "br_netfilter", "iptable_nat", "iptable_filter"} {
		if _, err := os.Stat("/sys/module/" + module); err == nil {
			continue
		}
		if output, err := exec.Command("modprobe", "--", module).CombinedOutput(); err != nil {
			journal.Debugf("Module %s was not loaded: %v: %s", module, err, output)
		}
	}
	values := []string{"net/ipv4/conf/all/forwarding", "net/ipv4/conf/default/forwarding", "net/bridge/bridge-nf-call-iptables"}
	for _, address := range s.NodeIPs {
		if address.To4() == nil {
			values = append(values, "net/ipv6/conf/all/forwarding", "net/ipv6/conf/default/forwarding",
				"net/bridge/bridge-nf-call-ip6tables")
			break
		}
	}
	for _, name := range values {
		if err := hostfacts.SetSysctl(name, "1"); err != nil {
			journal.Warnf("Failed to set sysctl: %v", err)
		}
	}
}
