// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package kubelet configures and runs the kubelet with the defaults that k3s gives it.
package kubelet

import (
	"fmt"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/hostfacts"
	"holdfast.internal/k3s/internal/settings"
)

const (
	defaultsName  = "00-k3s-defaults.conf"
	ownConfigName = "10-cli-config.conf"
	ownConfigDir  = "20-cli-config-dir"
)

// Options are what the kubelet needs besides the settings of this node.
type Options struct {
	ClusterDNS      []string
	ClusterDomain   string
	RuntimeEndpoint string
	ClientCA        string
	ServingCert     string
	ServingKey      string
	Kubeconfig      string
	ResolvConf      string
	// ServiceLB is on unless it is disabled; then pods may forward packets.
	ServiceLB bool
}

// ConfigDir is agent/etc/kubelet.conf.d.
func ConfigDir(s *settings.Settings) string {
	return filepath.Join(s.AgentDir(), "etc", "kubelet.conf.d")
}

// document renders 00-k3s-defaults.conf.
func document(s *settings.Settings, o Options, groups hostfacts.Cgroups) ([]byte, error) {
	config := map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true, "cacheTTL": "2m0s"},
			"x509":      map[string]any{"clientCAFile": o.ClientCA},
		},
		"authorization": map[string]any{
			"mode":    "Webhook",
			"webhook": map[string]any{"cacheAuthorizedTTL": "5m0s", "cacheUnauthorizedTTL": "30s"},
		},
		"address":                        listenAddress(s),
		"cgroupDriver":                   groups.Driver(),
		"clusterDNS":                     o.ClusterDNS,
		"clusterDomain":                  o.ClusterDomain,
		"containerRuntimeEndpoint":       o.RuntimeEndpoint,
		"imageServiceEndpoint":           o.RuntimeEndpoint,
		"evictionHard":                   map[string]string{"imagefs.available": "5%", "nodefs.available": "5%"},
		"evictionMinimumReclaim":         map[string]string{"imagefs.available": "10%", "nodefs.available": "10%"},
		"failCgroupV1":                   false,
		"failSwapOn":                     false,
		"healthzBindAddress":             loopback(s),
		"providerID":                     "k3s://" + s.NodeName,
		"readOnlyPort":                   0,
		"resolvConf":                     o.ResolvConf,
		"serializeImagePulls":            false,
		"staticPodPath":                  filepath.Join(s.AgentDir(), "pod-manifests"),
		"streamingConnectionIdleTimeout": "4h0m0s",
		"tlsCertFile":                    o.ServingCert,
		"tlsPrivateKeyFile":              o.ServingKey,
	}
	if s.ImageServiceEndpoint != "" {
		config["imageServiceEndpoint"] = s.ImageServiceEndpoint
	}
	if s.ProtectKernelDefaults {
		config["protectKernelDefaults"] = true
	}
	if o.ServiceLB {
		config["allowedUnsafeSysctls"] = sysctlsOfServiceLB(s)
	}
	if !hostfacts.OOMScoreCanBeLowered() {
		config["oomScoreAdj"] = 0
	}
	if !groups.Has("cpu") {
		config["cpuCFSQuota"] = false
	}
	return yaml.Marshal(config)
}

// write puts the generated file and the operator's own ones where the kubelet reads them.
func write(s *settings.Settings, o Options, own ownFiles) error {
	groups := hostfacts.ReadCgroups()
	if !groups.Has("pids") {
		return fmt.Errorf("failed to find pids cgroup (v%d)", map[bool]int{true: 2, false: 1}[groups.Unified])
	}
	content, err := document(s, o, groups)
	if err != nil {
		return err
	}
	directory := ConfigDir(s)
	if err := durable.Write(filepath.Join(directory, defaultsName), content, 0o600); err != nil {
		return err
	}
	return own.copyTo(directory)
}
