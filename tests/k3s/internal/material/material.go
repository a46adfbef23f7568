// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package material names every secret and certificate that a node keeps on disk. It holds paths only: what is in the
// files is made by the packages certificates, token, encryption and bootstrap.
package material

import (
	"path/filepath"

	"holdfast.internal/k3s/internal/settings"
)

// Pair is a certificate file and the key that belongs to it.
type Pair struct {
	Cert string
	Key  string
}

// Material is what a server has once bootstrap.Prepare has returned.
type Material struct {
	Authorities
	Leaves

	// ServiceKey is the RSA key that signs service account tokens.
	ServiceKey string
	// Passwords is cred/passwd: the two basic-auth users, for token.LoadUsers.
	Passwords string
	// IPsecKey is cred/ipsec.psk; nothing here reads it, but k3s keeps it in the bootstrap data.
	IPsecKey string
	// EncryptionConfig and EncryptionState exist only with secrets encryption.
	EncryptionConfig string
	EncryptionState  string
	// ServerToken, NodeToken and AgentToken are the files that operators copy the join token from.
	ServerToken string
	NodeToken   string
	AgentToken  string

	// DynamicCert caches the certificate of the 6443 listener; DynamicCertRegenerate asks for a new one.
	DynamicCert           string
	DynamicCertRegenerate string
	// TemporaryCerts is a folder for kube-apiserver's and others' --cert-dir.
	TemporaryCerts string
	// EgressSelector is the file k3s generates for kube-apiserver.
	EgressSelector string
	// Credentials is the folder of the components' kubeconfigs.
	Credentials string

	Etcd Etcd
}

// Authorities are the five CAs, each shared by all servers.
type Authorities struct {
	ServerCA        Pair
	ClientCA        Pair
	RequestHeaderCA Pair
	EtcdServerCA    Pair
	EtcdPeerCA      Pair
}

// Leaves are this server's own certificates.
type Leaves struct {
	Admin             Pair
	Supervisor        Pair
	ControllerManager Pair
	Scheduler         Pair
	CloudController   Pair
	// K3sController, KubeProxy are clients that agents too get a certificate for.
	K3sController Pair
	KubeProxy     Pair
	// APIServerClient is what kube-apiserver shows to kubelets.
	APIServerClient Pair
	// AuthProxy is the front proxy's client certificate, signed by RequestHeaderCA.
	AuthProxy                Pair
	ServingAPIServer         Pair
	ServingControllerManager Pair
	ServingScheduler         Pair
	// EtcdServer, EtcdPeer and EtcdClient exist only with the embedded etcd.
	EtcdServer Pair
	EtcdPeer   Pair
	EtcdClient Pair
}

// Etcd is what kube-apiserver gets as etcd-servers, etcd-cafile, etcd-certfile and etcd-keyfile.
type Etcd struct {
	// Embedded tells whether etcd runs as a child of this server.
	Embedded  bool
	Endpoints []string
	CAFile    string
	CertFile  string
	KeyFile   string
}

// New names the files of a server with these settings.
func New(s *settings.Settings) *Material {
	server, tls := s.ServerDir(), s.TLSDir()
	credentials := filepath.Join(server, "cred")
	pair := func(parts ...string) Pair {
		base := filepath.Join(append([]string{tls}, parts...)...)
		return Pair{Cert: base + ".crt", Key: base + ".key"}
	}
	m := &Material{
		Authorities: Authorities{
			ServerCA:        pair("server-ca"),
			ClientCA:        pair("client-ca"),
			RequestHeaderCA: pair("request-header-ca"),
			EtcdServerCA:    pair("etcd", "server-ca"),
			EtcdPeerCA:      pair("etcd", "peer-ca"),
		},
		Leaves: Leaves{
			Admin:                    pair("client-admin"),
			Supervisor:               pair("client-supervisor"),
			ControllerManager:        pair("client-controller"),
			Scheduler:                pair("client-scheduler"),
			CloudController:          pair("client-k3s-cloud-controller"),
			K3sController:            pair("client-k3s-controller"),
			KubeProxy:                pair("client-kube-proxy"),
			APIServerClient:          pair("client-kube-apiserver"),
			AuthProxy:                pair("client-auth-proxy"),
			ServingAPIServer:         pair("serving-kube-apiserver"),
			ServingControllerManager: pair("kube-controller-manager", "kube-controller-manager"),
			ServingScheduler:         pair("kube-scheduler", "kube-scheduler"),
			EtcdServer:               pair("etcd", "server-client"),
			EtcdPeer:                 pair("etcd", "peer-server-client"),
			EtcdClient:               pair("etcd", "client"),
		},
		ServiceKey:            filepath.Join(tls, "service.key"),
		Passwords:             filepath.Join(credentials, "passwd"),
		IPsecKey:              filepath.Join(credentials, "ipsec.psk"),
		EncryptionConfig:      filepath.Join(credentials, "encryption-config.json"),
		EncryptionState:       filepath.Join(credentials, "encryption-state.json"),
		ServerToken:           filepath.Join(server, "token"),
		NodeToken:             filepath.Join(server, "node-token"),
		AgentToken:            filepath.Join(server, "agent-token"),
		DynamicCert:           filepath.Join(tls, "dynamic-cert.json"),
		DynamicCertRegenerate: filepath.Join(tls, "dynamic-cert-regenerate"),
		TemporaryCerts:        filepath.Join(tls, "temporary-certs"),
		EgressSelector:        filepath.Join(server, "etc", "egress-selector-config.yaml"),
		Credentials:           credentials,
	}
	m.Etcd = Etcd{
		Endpoints: s.Datastore.Endpoints,
		CAFile:    s.Datastore.CAFile,
		CertFile:  s.Datastore.CertFile,
		KeyFile:   s.Datastore.KeyFile,
	}
	if !s.Datastore.External() {
		m.Etcd = Etcd{
			Embedded:  true,
			Endpoints: []string{"https://127.0.0.1:2379"},
			CAFile:    m.EtcdServerCA.Cert,
			CertFile:  m.EtcdClient.Cert,
			KeyFile:   m.EtcdClient.Key,
		}
	}
	return m
}

// Kubeconfig is the path of a component's kubeconfig in cred/, for example "scheduler".
func (m *Material) Kubeconfig(component string) string {
	return filepath.Join(m.Credentials, component+".kubeconfig")
}
