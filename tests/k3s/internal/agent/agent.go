// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package agent makes this host a node of a cluster: it joins by a server and a token, runs containerd, kubelet,
// kube-proxy and flannel, and says what it is in its Node object.
package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"holdfast.internal/k3s/internal/containerd"
	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/flannel"
	"holdfast.internal/k3s/internal/hostfacts"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/kubelet"
	"holdfast.internal/k3s/internal/kubeproxy"
	"holdfast.internal/k3s/internal/loadbalancer"
	"holdfast.internal/k3s/internal/notify"
	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/wire"
)

// Server is where a node joins.
type Server struct {
	URL   string
	Token string
	// Ready, if set, is called once the node is labelled and its network is up.
	Ready func()
}

// node is this host on its way into the cluster.
type node struct {
	settings   *settings.Settings
	server     Server
	local      bool
	paths      paths
	balancer   *loadbalancer.Balancer
	registries *containerd.Registries
	api        *rest.Config
	core       typedcore.CoreV1Interface
}

// Run is `k3s agent`: it returns when ctx ends, or with the error that made the start impossible. What may get better
// by itself, a server that is away or a wrong token, is retried for ever.
func Run(ctx context.Context, s *settings.Settings) error {
	server := Server{URL: s.ServerURL, Token: s.Token, Ready: func() {
		journal.Infof("k3s agent is up and running")
		if err := notify.Ready(); err != nil {
			journal.Warnf("Failed to notify systemd: %v", err)
		}
	}}
	n := newNode(s, server)
	if !s.DisableAPIServerLB {
		state := filepath.Join(s.AgentDir(), "etc", "k3s-agent-load-balancer.json")
		balancer, err := loadbalancer.Start(ctx, s.ServerURL, state, s.LBServerPort)
		if err != nil {
			return err
		}
		n.balancer = balancer
		n.server.URL = balancer.URL()
	}
	return n.run(ctx)
}

// RunLocal makes a server's own host a node. Its server is in the same process, so there is nothing to balance.
func RunLocal(ctx context.Context, s *settings.Settings, server Server) error {
	n := newNode(s, server)
	n.local = true
	return n.run(ctx)
}

func newNode(s *settings.Settings, server Server) *node {
	return &node{settings: s, server: server, paths: paths{s.AgentDir()}}
}

func (n *node) run(ctx context.Context) error {
	if err := n.prepare(); err != nil {
		return err
	}
	connection, err := n.validate(ctx)
	if err != nil {
		return quiet(ctx, err)
	}
	var runtimeUp chan error
	if n.local {
		// The runtime needs nothing that the API must answer, and importing images takes as long as the API does.
		config := wire.Config{FlannelBackend: n.settings.FlannelBackend}
		if err := n.readRegistries(); err == nil {
			runtimeUp = n.inBackground(func() error { return n.startRuntime(ctx, config) })
		}
	}
	config, err := n.join(ctx, connection)
	if err != nil {
		return quiet(ctx, err)
	}
	if config.SystemDefaultRegistry != "" && n.settings.SystemDefaultRegistry == "" {
		n.takeRegistry(config.SystemDefaultRegistry)
	}
	if runtimeUp == nil {
		runtimeUp = n.inBackground(func() error { return n.startRuntime(ctx, config) })
	}
	if err := <-runtimeUp; err != nil {
		return quiet(ctx, err)
	}
	if err := n.startNode(ctx, config); err != nil {
		return quiet(ctx, err)
	}
	<-ctx.Done()
	return nil
}

// quiet drops an error that is only the consequence of the program's end.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (n *node) inBackground(work func() error) chan error {
	result := make(chan error, 1)
	go func() { result <- work() }()
	return result
}

// prepare does what needs nobody else.
func (n *node) prepare() error {
	// The folder may be older than its secrets: who copies images into it first makes it as he likes.
	if err := os.MkdirAll(n.settings.AgentDir(), 0o700); err != nil {
		return err
	}
	if err := os.Chmod(n.settings.AgentDir(), 0o700); err != nil {
		return err
	}
	prepareKernel(n.settings)
	content := fmt.Sprintf("runtime-endpoint: %s\n", n.runtimeEndpoint())
	return durable.Write(filepath.Join(n.settings.AgentDir(), "etc", "crictl.yaml"), []byte(content), 0o600)
}

func (n *node) runtimeEndpoint() string {
	if n.settings.ContainerRuntimeEndpoint != "" {
		return n.settings.ContainerRuntimeEndpoint
	}
	return containerd.Endpoint
}

func (n *node) readRegistries() error {
	registries, err := containerd.ReadRegistries(n.settings.RegistriesFile)
	if err != nil {
		return err
	}
	n.registries = registries
	return nil
}

// takeRegistry applies the server's default registry to an agent, which has no such flag.
func (n *node) takeRegistry(registry string) {
	n.settings.SystemDefaultRegistry = registry
	if n.settings.PauseImage == n.settings.Images["pause"] {
		n.settings.PauseImage = registry + "/" + n.settings.PauseImage
	}
}

// startRuntime returns once containerd answers and has all images that lie on this host.
func (n *node) startRuntime(ctx context.Context, config wire.Config) error {
	s := n.settings
	if s.ContainerRuntimeEndpoint != "" {
		return containerd.WaitExternal(ctx, s.ContainerRuntimeEndpoint)
	}
	if err := containerd.Configure(s, n.registries, config.FlannelBackend == flannel.BackendNone); err != nil {
		return fmt.Errorf("failed to configure containerd: %w", err)
	}
	if err := containerd.Start(ctx, s); err != nil {
		return err
	}
	return containerd.Import(ctx, s)
}

// startNode runs kubelet and network, in the order in which they need each other.
func (n *node) startNode(ctx context.Context, config wire.Config) error {
	s := n.settings
	network := flannel.Options{
		Backend: config.FlannelBackend, ClusterCIDRs: config.ClusterCIDRs, IPv6Masq: config.FlannelIPv6Masq,
		ExternalIP: config.FlannelExternalIP, Kubeconfig: n.paths.kubeconfig("k3scontroller"),
		NFTables: !hostfacts.BridgeIsFiltered(),
	}
	var netConf string
	var err error
	if config.FlannelBackend == flannel.BackendNone {
		err = flannel.Remove(s)
	} else {
		netConf, err = flannel.Prepare(s, network)
	}
	if err != nil {
		return fmt.Errorf("flannel: %w", err)
	}
	if err := n.startKubelet(config); err != nil {
		return err
	}
	if err := n.reachAPI(); err != nil {
		return err
	}
	if n.balancer != nil {
		go n.followServers(ctx)
	}
	if err := n.waitForNode(ctx); err != nil {
		return err
	}
	if !config.DisableKubeProxy {
		if err := kubeproxy.Start(s, n.paths.kubeconfig("kubeproxy"), config.ClusterCIDRs); err != nil {
			return err
		}
	}
	if err := n.describe(ctx); err != nil {
		return err
	}
	if config.FlannelBackend != flannel.BackendNone {
		if err := n.waitForSubnet(ctx); err != nil {
			return err
		}
		if err := flannel.Start(ctx, s, network, netConf); err != nil {
			return err
		}
	}
	if n.server.Ready != nil {
		n.server.Ready()
	}
	return nil
}

func (n *node) startKubelet(config wire.Config) error {
	resolvConf, err := kubelet.ResolvConf(n.settings)
	if err != nil {
		return err
	}
	return kubelet.Start(n.settings, kubelet.Options{
		ClusterDNS: config.ClusterDNS, ClusterDomain: config.ClusterDomain, RuntimeEndpoint: n.runtimeEndpoint(),
		ClientCA: n.paths.clientCA(), ServingCert: n.paths.certificate("serving-kubelet"), ServingKey: n.paths.key("serving-kubelet"),
		Kubeconfig: n.paths.kubeconfig("kubelet"), ResolvConf: resolvConf, ServiceLB: !config.DisableServiceLB,
	})
}

// reachAPI makes the client by which this program, not its kubelet, speaks to the API.
func (n *node) reachAPI() error {
	api, err := clientcmd.BuildConfigFromFlags("", n.paths.kubeconfig("k3scontroller"))
	if err != nil {
		return err
	}
	api.UserAgent = "k3s-agent"
	api.WarningHandler = rest.NoWarnings{}
	n.api = api
	n.core, err = typedcore.NewForConfig(api)
	return err
}
