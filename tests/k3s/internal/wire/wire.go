// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package wire holds what servers and agents say to each other below /v1-k3s: paths, headers and the documents.
package wire

// Paths of the supervisor. Those under Prefix need credentials, the others none.
const (
	Prefix = "/v1-k3s"

	PathPing    = "/ping"
	PathCACerts = "/cacerts"

	PathConfig            = Prefix + "/config"
	PathAPIServers        = Prefix + "/apiservers"
	PathReadyz            = Prefix + "/readyz"
	PathClientCA          = Prefix + "/client-ca.crt"
	PathServerCA          = Prefix + "/server-ca.crt"
	PathServingKubelet    = Prefix + "/serving-kubelet.crt"
	PathClientKubelet     = Prefix + "/client-kubelet.crt"
	PathClientKubeProxy   = Prefix + "/client-kube-proxy.crt"
	PathClientController  = Prefix + "/client-k3s-controller.crt"
	PathServerBootstrap   = Prefix + "/server-bootstrap"
	PathEncryptStatus     = Prefix + "/encrypt/status"
	PathEncryptConfig     = Prefix + "/encrypt/config"
	PathCertificateBundle = Prefix + "/cert/cacerts"
	PathToken             = Prefix + "/token"
)

// Headers by which a node says who it is when it asks for a kubelet's certificate.
const (
	HeaderNodeName     = "k3s-Node-Name"
	HeaderNodePassword = "k3s-Node-Password"
	// HeaderNodeIP is a comma separated list, for the serving certificate.
	HeaderNodeIP = "k3s-Node-IP"
)

// UserNode and UserServer are the names of the two users of basic authentication; "node" is the agents' one.
const (
	UserNode   = "node"
	UserServer = "server"
)

// Config is the answer of PathConfig: what an agent must know of its cluster and cannot be told by its own operator.
type Config struct {
	ClusterCIDRs      []string `json:"clusterCIDRs"`
	ServiceCIDRs      []string `json:"serviceCIDRs"`
	ServiceNodePorts  string   `json:"serviceNodePortRange"`
	ClusterDNS        []string `json:"clusterDNS"`
	ClusterDomain     string   `json:"clusterDomain"`
	FlannelBackend    string   `json:"flannelBackend"`
	FlannelIPv6Masq   bool     `json:"flannelIPv6Masq"`
	FlannelExternalIP bool     `json:"flannelExternalIP"`
	// HTTPSPort is where the cluster's servers listen for everyone.
	HTTPSPort              int    `json:"httpsPort"`
	DisableKubeProxy       bool   `json:"disableKubeProxy"`
	DisableNetworkPolicy   bool   `json:"disableNetworkPolicy"`
	DisableServiceLB       bool   `json:"disableServiceLB"`
	EgressSelectorMode     string `json:"egressSelectorMode"`
	EmbeddedRegistry       bool   `json:"embeddedRegistry"`
	SystemDefaultRegistry  string `json:"systemDefaultRegistry"`
	DefaultLocalStorageDir string `json:"defaultLocalStoragePath"`
	// ServerVersion lets an agent say in its journal that it is newer than its server.
	ServerVersion string `json:"serverVersion"`
}
