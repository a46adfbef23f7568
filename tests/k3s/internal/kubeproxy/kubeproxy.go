// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package kubeproxy runs kube-proxy with the defaults that k3s gives it.
package kubeproxy

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"holdfast.internal/k3s/internal/hostfacts"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/process"
	"holdfast.internal/k3s/internal/settings"
)

// Start runs kube-proxy. It does not wait for it.
func Start(s *settings.Settings, kubeconfig string, clusterCIDRs []string) error {
	arguments := defaults(s, kubeconfig, clusterCIDRs)
	if !hostfacts.BridgeIsFiltered() {
		journal.Warnf("Bridged packets bypass iptables here (no br_netfilter): kube-proxy masquerades everything so that Services work on one node")
		arguments["masquerade-all"] = "true"
	}
	if !hostfacts.OOMScoreCanBeLowered() {
		arguments["oom-score-adj"] = "0"
	}
	setConntrack(s.KubeProxyArgs)
	_, err := process.Start(process.Spec{
		Name: "kube-proxy", Path: s.Binary("kube-proxy"), Args: process.MergeArgs(arguments, s.KubeProxyArgs),
		Stage: process.StageClient,
	})
	return err
}

// defaults leave the conntrack limits alone: setConntrack cares for them, and where they are read-only kube-proxy would
// end over them.
func defaults(s *settings.Settings, kubeconfig string, clusterCIDRs []string) map[string]string {
	healthz := "127.0.0.1"
	if len(s.NodeIPs) > 0 && s.NodeIPs[0].To4() == nil {
		healthz = "::1"
	}
	arguments := map[string]string{
		"cluster-cidr":                      strings.Join(clusterCIDRs, ","),
		"conntrack-max-per-core":            "0",
		"conntrack-tcp-timeout-close-wait":  "0s",
		"conntrack-tcp-timeout-established": "0s",
		"healthz-bind-address":              healthz,
		"hostname-override":                 s.NodeName,
		"kubeconfig":                        kubeconfig,
		"proxy-mode":                        "iptables",
	}
	if s.Verbosity > 0 {
		arguments["v"] = strconv.Itoa(s.Verbosity)
	}
	if s.VModule != "" {
		arguments["vmodule"] = s.VModule
	}
	return arguments
}

// setConntrack raises the kernel's limits, unless the operator let kube-proxy do so by arguments of his own.
func setConntrack(arguments []string) {
	for _, argument := range arguments {
		if strings.HasPrefix(strings.TrimPrefix(argument, "--"), "conntrack-") {
			return
		}
	}
	const perCore, least = 32768, 131072
	values := []struct{ name, value string }{
		{"net/netfilter/nf_conntrack_max", strconv.Itoa(max(least, perCore*runtime.NumCPU()))},
		{"net/netfilter/nf_conntrack_tcp_timeout_established", "86400"},
		{"net/netfilter/nf_conntrack_tcp_timeout_close_wait", "3600"},
	}
	for _, one := range values {
		if err := hostfacts.SetSysctl(one.name, one.value); err != nil && !os.IsNotExist(err) {
			journal.Warnf("Failed to set sysctl: %v", err)
		}
	}
}
