// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package settings turns parsed flags into the typed facts that all other packages work from. Values here are
// complete: defaults that depend on other values or on the host are filled in by Server and Agent.
package settings

import (
	"net"
	"path/filepath"
	"time"
)

// Role is the verb that the program runs as.
type Role string

// The two long-running verbs.
const (
	RoleServer Role = "server"
	RoleAgent  Role = "agent"
)

// Settings are the facts of one start. Embedded groups keep related values together; read them as s.DataDir and so on.
type Settings struct {
	Role Role
	Common
	Node
	Runtime
	// ControlPlane and the groups below are for servers only.
	ControlPlane
	Datastore Datastore
	Snapshot  Snapshot
}

// Common is what concerns the process itself.
type Common struct {
	DataDir string
	// BinDir is <data-dir>/data/<hash>/bin, with every component's executable or link in it.
	BinDir string
	// CNIBinDir is <data-dir>/data/cni, stable over upgrades.
	CNIBinDir string
	// PayloadDir is <data-dir>/data/<hash>; images/ of the packaged add-ons lie in it.
	PayloadDir string
	// Images are the references of the packaged images by short name: pause, coredns, metrics-server,
	// local-path-provisioner, local-path-helper.
	Images     map[string]string
	ConfigFile string
	// Arguments are verb and flags after the configuration file was expanded, for the k3s.io/node-args annotation.
	Arguments []string
	Debug     bool
	// Verbosity and VModule are passed to the Kubernetes components as --v and --vmodule.
	Verbosity int
	VModule   string
	Token     string
	// ServerURL is the `server` flag: for agents always set, for servers only when they join embedded etcd.
	ServerURL        string
	BindAddress      string
	EnablePprof      bool
	Rootless         bool
	PreferBundledBin bool
	VPNAuth          string
}

// Node is the identity of this host in the cluster.
type Node struct {
	// NodeName already carries the id where WithNodeID is set.
	NodeName   string
	WithNodeID bool
	// NodeIPs is never empty: given, or from FlannelIface, or the address behind the default route.
	NodeIPs []net.IP
	// NodeIPsGiven tells whether node-ip was set by the operator (kubelet's --node-ip is set either way).
	NodeIPsGiven    bool
	NodeExternalIPs []net.IP
	NodeInternalDNS []string
	NodeExternalDNS []string
	NodeLabels      []string
	NodeTaints      []string
}

// Runtime is what kubelet, containerd, kube-proxy and flannel need on every node.
type Runtime struct {
	KubeletArgs                    []string
	KubeProxyArgs                  []string
	ProtectKernelDefaults          bool
	SELinux                        bool
	ResolvConf                     string
	PauseImage                     string
	Snapshotter                    string
	DefaultRuntime                 string
	ContainerRuntimeEndpoint       string
	ImageServiceEndpoint           string
	Docker                         bool
	NonrootDevices                 bool
	RegistriesFile                 string
	DisableDefaultRegistryEndpoint bool
	SystemDefaultRegistry          string
	AirgapExtraRegistry            []string
	ImageCredentialProviderBinDir  string
	ImageCredentialProviderConfig  string
	FlannelIface                   string
	FlannelConf                    string
	FlannelCNIConf                 string
	// LBServerPort is the port of the agent's load balancer on 127.0.0.1, 6444 unless set.
	LBServerPort       int
	DisableAPIServerLB bool
	// DisableAgent: a server without kubelet and friends.
	DisableAgent bool
}

// ControlPlane is what only servers know; agents get the network values from their server.
type ControlPlane struct {
	AgentToken string
	// HTTPSPort is the port of supervisor and API to the outside, 6443 unless set.
	HTTPSPort      int
	SupervisorPort int
	// APIServerPort is the port of kube-apiserver itself, HTTPSPort + 1 unless set.
	APIServerPort        int
	APIServerBindAddress string
	AdvertiseIP          net.IP
	AdvertisePort        int
	TLSSANs              []string
	TLSSANSecurity       bool

	ClusterCIDRs      []*net.IPNet
	ServiceCIDRs      []*net.IPNet
	ServiceNodePorts  string
	ClusterDNS        []net.IP
	ClusterDomain     string
	FlannelBackend    string
	FlannelIPv6Masq   bool
	FlannelExternalIP bool
	EgressSelector    string
	ServiceLBSpace    string

	KubeconfigPath  string
	KubeconfigMode  string
	KubeconfigGroup string

	ClusterInit             bool
	ClusterReset            bool
	ClusterResetRestorePath string

	APIServerArgs         []string
	ControllerManagerArgs []string
	SchedulerArgs         []string
	CloudControllerArgs   []string
	EtcdArgs              []string

	SecretsEncryption         bool
	SecretsEncryptionProvider string

	DefaultLocalStoragePath string
	// Disable holds what the `disable` flag names, commas split: coredns, metrics-server, local-storage, …
	Disable                  map[string]bool
	DisableScheduler         bool
	DisableCloudController   bool
	DisableKubeProxy         bool
	DisableNetworkPolicy     bool
	DisableHelmController    bool
	DisableAPIServer         bool
	DisableControllerManager bool
	DisableEtcd              bool
	EmbeddedRegistry         bool
	SupervisorMetrics        bool
}

// Datastore says where the cluster's state lies. No endpoint means etcd as a child of this server.
type Datastore struct {
	Endpoint string
	// Endpoints is Endpoint split at commas.
	Endpoints []string
	CAFile    string
	CertFile  string
	KeyFile   string
}

// Snapshot holds the etcd-* flags.
type Snapshot struct {
	ExposeMetrics bool
	Disabled      bool
	Name          string
	Schedule      string
	Retention     int
	Dir           string
	Compress      bool
	Reconcile     time.Duration
}

// External tells whether the datastore is an etcd that others run.
func (d Datastore) External() bool { return d.Endpoint != "" }

// ServerDir is <data-dir>/server.
func (s *Settings) ServerDir() string { return filepath.Join(s.DataDir, "server") }

// AgentDir is <data-dir>/agent.
func (s *Settings) AgentDir() string { return filepath.Join(s.DataDir, "agent") }

// TLSDir is <data-dir>/server/tls.
func (s *Settings) TLSDir() string { return filepath.Join(s.ServerDir(), "tls") }

// Binary is the path of a bundled executable, for example containerd or kube-apiserver.
func (s *Settings) Binary(name string) string { return filepath.Join(s.BinDir, name) }

// Disabled tells whether a packaged component is switched off.
func (s *Settings) Disabled(component string) bool { return s.Disable[component] }
