// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package kubelet

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"holdfast.internal/k3s/internal/process"
	"holdfast.internal/k3s/internal/settings"
)

// Start writes the configuration and runs the kubelet. It does not wait for it.
func Start(s *settings.Settings, o Options) error {
	manifests := filepath.Join(s.AgentDir(), "pod-manifests")
	if err := os.MkdirAll(manifests, 0o750); err != nil {
		return err
	}
	own, extra := takeOwnFiles(s.KubeletArgs)
	if err := write(s, o, own); err != nil {
		return err
	}
	_, err := process.Start(process.Spec{
		Name: "kubelet", Path: s.Binary("kubelet"), Args: process.MergeArgs(defaults(s, o), extra), Stage: process.StageClient,
	})
	return err
}

// defaults are the flags that are not in the file, because they are of this node alone.
func defaults(s *settings.Settings, o Options) map[string]string {
	arguments := map[string]string{
		"config-dir":        ConfigDir(s),
		"hostname-override": s.NodeName,
		"kubeconfig":        o.Kubeconfig,
		"node-ip":           join(s.NodeIPs),
		"node-labels":       strings.Join(s.NodeLabels, ","),
		"read-only-port":    "0",
	}
	if len(s.NodeTaints) > 0 {
		arguments["register-with-taints"] = strings.Join(s.NodeTaints, ",")
	}
	if s.ImageCredentialProviderConfig != "" {
		if _, err := os.Stat(s.ImageCredentialProviderConfig); err == nil {
			arguments["image-credential-provider-config"] = s.ImageCredentialProviderConfig
			arguments["image-credential-provider-bin-dir"] = s.ImageCredentialProviderBinDir
		}
	}
	if s.Verbosity > 0 {
		arguments["v"] = strconv.Itoa(s.Verbosity)
	}
	if s.VModule != "" {
		arguments["vmodule"] = s.VModule
	}
	return arguments
}

func join(addresses []net.IP) string {
	texts := make([]string, 0, len(addresses))
	for _, address := range addresses {
		texts = append(texts, address.String())
	}
	return strings.Join(texts, ",")
}
