// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package settings

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"

	"holdfast.internal/k3s/internal/flags"
)

// DefaultKubeconfig is where servers write the administrator's kubeconfig.
const DefaultKubeconfig = "/etc/rancher/k3s/k3s.yaml"

func (s *Settings) controlPlane(ctx context.Context, set *flags.Set) error {
	agentToken, err := secret(ctx, set.String("agent-token"), set.String("agent-token-file"))
	if err != nil {
		return err
	}
	s.ControlPlane = ControlPlane{
		AgentToken:                agentToken,
		HTTPSPort:                 set.Int("https-listen-port"),
		SupervisorPort:            set.Int("supervisor-port"),
		APIServerPort:             set.Int("apiserver-port"),
		APIServerBindAddress:      set.String("apiserver-bind-address"),
		AdvertisePort:             set.Int("advertise-port"),
		TLSSANs:                   split(set.List("tls-san")),
		TLSSANSecurity:            set.Bool("tls-san-security"),
		ClusterDomain:             set.String("cluster-domain"),
		FlannelBackend:            set.String("flannel-backend"),
		FlannelIPv6Masq:           set.Bool("flannel-ipv6-masq"),
		FlannelExternalIP:         set.Bool("flannel-external-ip"),
		EgressSelector:            set.String("egress-selector-mode"),
		ServiceLBSpace:            set.String("servicelb-namespace"),
		KubeconfigPath:            set.String("write-kubeconfig"),
		KubeconfigMode:            set.String("write-kubeconfig-mode"),
		KubeconfigGroup:           set.String("write-kubeconfig-group"),
		ClusterInit:               set.Bool("cluster-init"),
		ClusterReset:              set.Bool("cluster-reset"),
		ClusterResetRestorePath:   set.String("cluster-reset-restore-path"),
		APIServerArgs:             set.List("kube-apiserver-arg"),
		ControllerManagerArgs:     set.List("kube-controller-manager-arg"),
		SchedulerArgs:             set.List("kube-scheduler-arg"),
		CloudControllerArgs:       set.List("kube-cloud-controller-manager-arg"),
		EtcdArgs:                  set.List("etcd-arg"),
		SecretsEncryption:         set.Bool("secrets-encryption"),
		SecretsEncryptionProvider: set.String("secrets-encryption-provider"),
		DefaultLocalStoragePath:   set.String("default-local-storage-path"),
		Disable:                   map[string]bool{},
		DisableScheduler:          set.Bool("disable-scheduler"),
		DisableCloudController:    set.Bool("disable-cloud-controller"),
		DisableKubeProxy:          set.Bool("disable-kube-proxy"),
		DisableNetworkPolicy:      set.Bool("disable-network-policy"),
		DisableHelmController:     set.Bool("disable-helm-controller"),
		DisableAPIServer:          set.Bool("disable-apiserver"),
		DisableControllerManager:  set.Bool("disable-controller-manager"),
		DisableEtcd:               set.Bool("disable-etcd"),
		EmbeddedRegistry:          set.Bool("embedded-registry"),
		SupervisorMetrics:         set.Bool("supervisor-metrics"),
	}
	for _, component := range split(set.List("disable")) {
		s.Disable[component] = true
	}
	s.fillControlPlane()
	if err := s.advertise(set.String("advertise-address")); err != nil {
		return err
	}
	if !slices.Contains([]string{"agent", "cluster", "pod", "disabled"}, s.EgressSelector) {
		return fmt.Errorf("invalid egress-selector-mode %s", s.EgressSelector)
	}
	if !slices.Contains([]string{"aescbc", "secretbox"}, s.SecretsEncryptionProvider) {
		return fmt.Errorf("unsupported encryption provider %s", s.SecretsEncryptionProvider)
	}
	return nil
}

// fillControlPlane sets the defaults that depend on other values.
func (s *Settings) fillControlPlane() {
	if s.SupervisorPort == 0 {
		s.SupervisorPort = s.HTTPSPort
	}
	if s.APIServerPort == 0 {
		s.APIServerPort = s.HTTPSPort + 1
	}
	if s.APIServerBindAddress == "" {
		s.APIServerBindAddress = "127.0.0.1"
	}
	if s.AdvertisePort == 0 {
		s.AdvertisePort = s.HTTPSPort
	}
	if s.KubeconfigPath == "" {
		s.KubeconfigPath = DefaultKubeconfig
	}
	if s.KubeconfigMode == "" {
		s.KubeconfigMode = "0600"
	}
	if s.DefaultLocalStoragePath == "" {
		s.DefaultLocalStoragePath = filepath.Join(s.DataDir, "storage")
	}
}

// advertise finds the address under which other nodes reach this server's API.
func (s *Settings) advertise(given string) error {
	switch {
	case given != "":
		if s.AdvertiseIP = net.ParseIP(given); s.AdvertiseIP == nil {
			return fmt.Errorf("invalid advertise-address %s", given)
		}
	case len(s.NodeExternalIPs) > 0:
		s.AdvertiseIP = s.NodeExternalIPs[0]
	default:
		s.AdvertiseIP = s.NodeIPs[0]
	}
	return nil
}
