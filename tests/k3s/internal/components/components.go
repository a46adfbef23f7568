// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package components tells the control plane's programs what k3s tells them, and runs them as children.
package components

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/process"
	"holdfast.internal/k3s/internal/settings"
)

const (
	loopback       = "127.0.0.1"
	egressDisabled = "disabled"
)

// egressSelector lets kube-apiserver dial nodes and pods itself: the agents' tunnels, which k3s names here, are not done.
const egressSelector = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: Direct
`

// WriteEgressSelector writes the file that kube-apiserver is told about.
func WriteEgressSelector(s *settings.Settings, m *material.Material) error {
	if s.EgressSelector == egressDisabled {
		return nil
	}
	_, err := durable.WriteIfChanged(m.EgressSelector, []byte(egressSelector), 0o600)
	return err
}

// CipherSuites are those of TLS 1.2 that k3s offers, by the names of the components' flags.
var CipherSuites = []string{
	"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
	"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
	"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
	"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
	"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
	"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
}

// APIServerAddress is where this server's own kube-apiserver listens, seen from this host.
func APIServerAddress(s *settings.Settings) string {
	host := s.APIServerBindAddress
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = loopback
	}
	return net.JoinHostPort(host, strconv.Itoa(s.APIServerPort))
}

// StartAPIServer runs kube-apiserver.
func StartAPIServer(s *settings.Settings, m *material.Material) error {
	return start(s, "kube-apiserver", "apiserver", process.StageRuntime,
		process.MergeArgs(APIServerDefaults(s, m), s.APIServerArgs))
}

// StartControllerManager runs kube-controller-manager.
func StartControllerManager(s *settings.Settings, m *material.Material) error {
	return start(s, "kube-controller-manager", "controller-manager", process.StageClient,
		process.MergeArgs(ControllerManagerDefaults(s, m), s.ControllerManagerArgs))
}

// StartScheduler runs kube-scheduler.
func StartScheduler(s *settings.Settings, m *material.Material) error {
	return start(s, "kube-scheduler", "scheduler", process.StageClient,
		process.MergeArgs(SchedulerDefaults(s, m), s.SchedulerArgs))
}

func start(s *settings.Settings, name, exitName string, stage process.Stage, arguments []string) error {
	_, err := process.Start(process.Spec{
		Name: name, ExitName: exitName, Path: s.Binary(name), Args: arguments, Dir: s.ServerDir(), Stage: stage,
	})
	return err
}

// APIServerDefaults are kube-apiserver's arguments before the operator's own.
func APIServerDefaults(s *settings.Settings, m *material.Material) map[string]string {
	issuer := "https://kubernetes.default.svc." + s.ClusterDomain
	addressTypes := "InternalIP,ExternalIP,Hostname"
	if s.FlannelExternalIP {
		addressTypes = "ExternalIP,InternalIP,Hostname"
	}
	bind := s.APIServerBindAddress
	if bind == "" {
		bind = loopback
	}
	arguments := map[string]string{
		"allow-privileged":          "true",
		"anonymous-auth":            "false",
		"api-audiences":             issuer + ",k3s",
		"authorization-mode":        "Node,RBAC",
		"bind-address":              bind,
		"cert-dir":                  m.TemporaryCerts,
		"client-ca-file":            m.ClientCA.Cert,
		"enable-admission-plugins":  "NodeRestriction",
		"enable-aggregator-routing": "true",
		// Upstream has no advertise-port, so the package server keeps the addresses of the "kubernetes" Service.
		"endpoint-reconciler-type":           "none",
		"enable-bootstrap-token-auth":        "true",
		"etcd-servers":                       strings.Join(m.Etcd.Endpoints, ","),
		"kubelet-certificate-authority":      m.ServerCA.Cert,
		"kubelet-client-certificate":         m.APIServerClient.Cert,
		"kubelet-client-key":                 m.APIServerClient.Key,
		"kubelet-preferred-address-types":    addressTypes,
		"profiling":                          "false",
		"proxy-client-cert-file":             m.AuthProxy.Cert,
		"proxy-client-key-file":              m.AuthProxy.Key,
		"requestheader-allowed-names":        "system:auth-proxy",
		"requestheader-client-ca-file":       m.RequestHeaderCA.Cert,
		"requestheader-extra-headers-prefix": "X-Remote-Extra-",
		"requestheader-group-headers":        "X-Remote-Group",
		"requestheader-username-headers":     "X-Remote-User",
		"secure-port":                        strconv.Itoa(s.APIServerPort),
		"service-account-issuer":             issuer,
		"service-account-key-file":           m.ServiceKey,
		"service-account-signing-key-file":   m.ServiceKey,
		"service-cluster-ip-range":           networks(s.ServiceCIDRs),
		"service-node-port-range":            s.ServiceNodePorts,
		"storage-backend":                    "etcd3",
		"tls-cert-file":                      m.ServingAPIServer.Cert,
		"tls-cipher-suites":                  strings.Join(CipherSuites, ","),
		"tls-private-key-file":               m.ServingAPIServer.Key,
	}
	optional(arguments, map[string]string{
		"etcd-cafile":   m.Etcd.CAFile,
		"etcd-certfile": m.Etcd.CertFile,
		"etcd-keyfile":  m.Etcd.KeyFile,
	})
	if s.AdvertiseIP != nil {
		arguments["advertise-address"] = s.AdvertiseIP.String()
	}
	if s.EgressSelector != egressDisabled {
		arguments["enable-aggregator-routing"] = "true"
		arguments["egress-selector-config-file"] = m.EgressSelector
	}
	if s.SecretsEncryption {
		arguments["encryption-provider-config"] = m.EncryptionConfig
		arguments["encryption-provider-config-automatic-reload"] = "true"
	}
	// The file forms cannot stand beside the flags that they replace.
	if given(s.APIServerArgs, "authorization-config") {
		delete(arguments, "authorization-mode")
	}
	if given(s.APIServerArgs, "authentication-config") {
		delete(arguments, "anonymous-auth")
	}
	verbose(arguments, s)
	return arguments
}

// ControllerManagerDefaults are kube-controller-manager's arguments before the operator's own.
func ControllerManagerDefaults(s *settings.Settings, m *material.Material) map[string]string {
	config := m.Kubeconfig("controller")
	arguments := map[string]string{
		"allocate-node-cidrs":       "true",
		"authentication-kubeconfig": config,
		"authorization-kubeconfig":  config,
		"bind-address":              loopback,
		"cert-dir":                  m.ServingControllerManager.Cert[:strings.LastIndex(m.ServingControllerManager.Cert, "/")],
		"cluster-cidr":              networks(s.ClusterCIDRs),
		"cluster-signing-kube-apiserver-client-cert-file": m.ClientCA.Cert,
		"cluster-signing-kube-apiserver-client-key-file":  m.ClientCA.Key,
		"cluster-signing-kubelet-client-cert-file":        m.ClientCA.Cert,
		"cluster-signing-kubelet-client-key-file":         m.ClientCA.Key,
		"cluster-signing-kubelet-serving-cert-file":       m.ServerCA.Cert,
		"cluster-signing-kubelet-serving-key-file":        m.ServerCA.Key,
		"cluster-signing-legacy-unknown-cert-file":        m.ServerCA.Cert,
		"cluster-signing-legacy-unknown-key-file":         m.ServerCA.Key,
		"controllers":                      "*,tokencleaner",
		"kubeconfig":                       config,
		"profiling":                        "false",
		"root-ca-file":                     m.ServerCA.Cert,
		"secure-port":                      "10257",
		"service-account-private-key-file": m.ServiceKey,
		"service-cluster-ip-range":         networks(s.ServiceCIDRs),
		"tls-cert-file":                    m.ServingControllerManager.Cert,
		"tls-private-key-file":             m.ServingControllerManager.Key,
		"use-service-account-credentials":  "true",
	}
	verbose(arguments, s)
	return arguments
}

// SchedulerDefaults are kube-scheduler's arguments before the operator's own.
func SchedulerDefaults(s *settings.Settings, m *material.Material) map[string]string {
	config := m.Kubeconfig("scheduler")
	arguments := map[string]string{
		"authentication-kubeconfig": config,
		"authorization-kubeconfig":  config,
		"bind-address":              loopback,
		"cert-dir":                  m.ServingScheduler.Cert[:strings.LastIndex(m.ServingScheduler.Cert, "/")],
		"kubeconfig":                config,
		"profiling":                 "false",
		"secure-port":               "10259",
		"tls-cert-file":             m.ServingScheduler.Cert,
		"tls-private-key-file":      m.ServingScheduler.Key,
	}
	verbose(arguments, s)
	return arguments
}

// verbose passes the program's own -v and --vmodule on.
func verbose(arguments map[string]string, s *settings.Settings) {
	if s.Verbosity != 0 {
		arguments["v"] = strconv.Itoa(s.Verbosity)
	}
	optional(arguments, map[string]string{"vmodule": s.VModule})
}

func optional(arguments, more map[string]string) {
	for key, value := range more {
		if value != "" {
			arguments[key] = value
		}
	}
}

// given tells whether the operator set a flag.
func given(extra []string, name string) bool {
	return slices.ContainsFunc(extra, func(argument string) bool {
		key, _, _ := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
		return strings.TrimRight(key, "+-") == name
	})
}

func networks(all []*net.IPNet) string {
	texts := make([]string, 0, len(all))
	for _, network := range all {
		texts = append(texts, network.String())
	}
	return strings.Join(texts, ",")
}
