// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/wire"
)

const validateInterval = 2 * time.Second

// rejected is what an operator sees on a node whose name belongs to another password.
const rejected = "Node password rejected, duplicate hostname or contents of '" + passwordFile +
	"' may not match server node-passwd entry, try enabling a unique node name with the --with-node-id flag"

// paths are the files that joining leaves on the node.
type paths struct{ directory string }

func (p paths) file(name string) string        { return filepath.Join(p.directory, name) }
func (p paths) serverCA() string               { return p.file("server-ca.crt") }
func (p paths) clientCA() string               { return p.file("client-ca.crt") }
func (p paths) certificate(name string) string { return p.file(name + ".crt") }
func (p paths) key(name string) string         { return p.file(name + ".key") }
func (p paths) kubeconfig(name string) string  { return p.file(name + ".kubeconfig") }

// leaf is one certificate that the server signs anew at every start.
type leaf struct {
	name, path string
	// kubeconfig is the file that uses it, if one does.
	kubeconfig string
	// node tells whether the server wants to know which node asks, and proof of it.
	node bool
}

var leaves = []leaf{
	{name: "serving-kubelet", path: wire.PathServingKubelet, node: true},
	{name: "client-kubelet", path: wire.PathClientKubelet, kubeconfig: "kubelet", node: true},
	{name: "client-kube-proxy", path: wire.PathClientKubeProxy, kubeconfig: "kubeproxy"},
	{name: "client-k3s-controller", path: wire.PathClientController, kubeconfig: "k3scontroller"},
}

// validate waits for a server that the token fits to. A wrong CA hash is reported for ever: it may be the server that
// is being repaired, not this node.
func (n *node) validate(ctx context.Context) (*client, error) {
	certificate := ownCertificate(n.paths.certificate("client-kubelet"), n.paths.key("client-kubelet"))
	for {
		var trusted []byte
		if n.server.Token == "" {
			trusted = readIfThere(n.paths.serverCA())
		}
		found, err := connect(ctx, n.server.URL, n.server.Token, certificate, trusted)
		if err == nil {
			return found, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		journal.Errorf("Failed to validate connection to cluster at %s: %v", n.server.URL, err)
		if !pause(ctx, n.patience(validateInterval)) {
			return nil, ctx.Err()
		}
	}
}

// join retrieves all that the cluster decides, until it succeeds: the server may not be ready, or not yet believe us.
func (n *node) join(ctx context.Context, c *client) (wire.Config, error) {
	for {
		config, err := n.retrieve(ctx, c)
		if err == nil {
			return config, nil
		}
		if ctx.Err() != nil {
			return config, ctx.Err()
		}
		wait := 5*time.Second + rand.N(3*time.Second)
		if n.local && errors.As(err, new(statusError)) {
			// Its own server has not finished its start: no news, and soon over.
			wait = n.patience(wait)
		} else {
			journal.Infof("Waiting to retrieve agent configuration; server is not ready: %v", err)
		}
		if !pause(ctx, wait) {
			return config, ctx.Err()
		}
	}
}

// patience shortens the waits of a server's own node: its server is in the same process and answers at once.
func (n *node) patience(usual time.Duration) time.Duration {
	if n.local {
		return 250 * time.Millisecond
	}
	return usual
}

func (n *node) retrieve(ctx context.Context, c *client) (wire.Config, error) {
	var config wire.Config
	if err := c.getJSON(ctx, wire.PathConfig, &config); err != nil {
		return config, fmt.Errorf("failed to retrieve configuration from server: %w", err)
	}
	if n.balancer != nil {
		n.balancer.Trust(c.roots)
		var servers []string
		if err := c.getJSON(ctx, wire.PathAPIServers, &servers); err != nil {
			journal.Debugf("Servers are not known yet: %v", err)
		} else {
			n.balancer.Update(ctx, servers)
		}
	}
	if err := n.readRegistries(); err != nil {
		return config, err
	}
	for path, remote := range map[string]string{n.paths.serverCA(): wire.PathServerCA, n.paths.clientCA(): wire.PathClientCA} {
		content, err := c.get(ctx, remote)
		if err != nil {
			return config, fmt.Errorf("%s: %w", path, err)
		}
		if _, err := durable.WriteIfChanged(path, content, 0o600); err != nil {
			return config, err
		}
	}
	password, err := nodePassword(passwordFile)
	if err != nil {
		return config, err
	}
	for _, one := range leaves {
		if err := n.sign(ctx, c, one, password); err != nil {
			return config, err
		}
	}
	return config, nil
}

// sign has one certificate signed, and writes the kubeconfig that uses it.
func (n *node) sign(ctx context.Context, c *client, one leaf, password string) error {
	path := n.paths.certificate(one.name)
	headers := map[string]string{}
	if one.node {
		headers[wire.HeaderNodeName] = n.settings.NodeName
		headers[wire.HeaderNodePassword] = password
		headers[wire.HeaderNodeIP] = joinIPs(n.settings.NodeIPs, n.settings.NodeExternalIPs)
	}
	request, err := certificateRequest(n.paths.key(one.name), n.settings.NodeName)
	if err != nil {
		return err
	}
	signed, err := c.post(ctx, one.path, request, headers)
	var status statusError
	if errors.As(err, &status) && status.code == http.StatusForbidden {
		return fmt.Errorf("%s: %s", path, rejected)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := durable.Write(path, signed, 0o600); err != nil {
		return err
	}
	if one.kubeconfig == "" {
		return nil
	}
	return writeKubeconfig(n.paths.kubeconfig(one.kubeconfig), n.server.URL, n.paths.serverCA(), path, n.paths.key(one.name))
}

func joinIPs(groups ...[]net.IP) string {
	var texts []string
	for _, group := range groups {
		for _, address := range group {
			texts = append(texts, address.String())
		}
	}
	return strings.Join(texts, ",")
}

// pause waits; false if the context ended first.
func pause(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}
