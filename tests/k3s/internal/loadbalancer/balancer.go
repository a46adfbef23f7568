// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package loadbalancer is the agent's own way to all servers: one address on the loopback that stays the same while
// servers come, go and fail. Kubelet and kube-proxy speak to it and never learn of a fail-over but by a new connection.
package loadbalancer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"holdfast.internal/k3s/internal/journal"
)

const (
	name = "k3s-agent-load-balancer"
	// defaultPort is what a server URL without a port means: that of https, not 6443.
	defaultPort = "443"
	dialTimeout = 3 * time.Second
)

// errNoServer is what a connection ends with when every server refused it.
var errNoServer = errors.New("no server answers")

// Balancer listens on the loopback and passes each connection to one of the servers.
type Balancer struct {
	listener  net.Listener
	stateFile string
	serverURL string
	// fallback is the address of the `server` flag; it is tried last, and alone before others are known.
	fallback string

	mutex   sync.Mutex
	servers []*server
	roots   *x509.CertPool
}

// Start listens and runs until ctx ends. What an earlier start learned is used again if the server flag is the same.
func Start(ctx context.Context, serverURL, stateFile string, port int) (*Balancer, error) {
	fallback, err := Address(serverURL)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("failed to start load balancer: %w", err)
	}
	b := &Balancer{listener: listener, stateFile: stateFile, serverURL: serverURL, fallback: fallback}
	b.set(ctx, loadState(stateFile, serverURL))
	journal.Infof("Running load balancer %s %s -> %v [default: %s]", name, listener.Addr(), b.Servers(), fallback)
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	go b.accept(ctx)
	return b, nil
}

// Address gives host:port of a server URL.
func Address(serverURL string) (string, error) {
	parsed, err := url.Parse(serverURL)
	if err != nil {
		return "", err
	}
	if parsed.Hostname() == "" {
		return "", fmt.Errorf("server URL has no host: %s", serverURL)
	}
	port := parsed.Port()
	if port == "" {
		port = defaultPort
	}
	return net.JoinHostPort(parsed.Hostname(), port), nil
}

// URL is the address that this node's components use.
func (b *Balancer) URL() string { return "https://" + b.listener.Addr().String() }

// Trust makes the health checks verify the servers' certificates; before the CA is known they cannot.
func (b *Balancer) Trust(roots *x509.CertPool) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.roots = roots
}

// Servers are the known addresses, sorted, without the fallback unless it is one of them.
func (b *Balancer) Servers() []string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	known := []string{}
	for _, one := range b.servers {
		if !one.fallbackOnly {
			known = append(known, one.address)
		}
	}
	slices.Sort(known)
	return known
}

// Update takes the servers that the cluster names now. An empty list is not believed.
func (b *Balancer) Update(ctx context.Context, addresses []string) {
	wanted := slices.Compact(slices.Sorted(slices.Values(addresses)))
	if len(wanted) == 0 || slices.Equal(wanted, b.Servers()) {
		return
	}
	b.set(ctx, wanted)
	journal.Infof("Updated load balancer %s server addresses -> %v [default: %s]", name, wanted, b.fallback)
	if err := saveState(b.stateFile, state{ServerURL: b.serverURL, ServerAddresses: wanted}); err != nil {
		journal.Warnf("Failed to write load balancer config: %v", err)
	}
}

// set starts the health checks of new servers, and drops servers that are gone with all their connections.
func (b *Balancer) set(ctx context.Context, addresses []string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	kept := make([]*server, 0, len(addresses)+1)
	for _, address := range addresses {
		kept = append(kept, b.keepOrAdd(ctx, address, false))
	}
	if !slices.Contains(addresses, b.fallback) {
		kept = append(kept, b.keepOrAdd(ctx, b.fallback, true))
	}
	for _, old := range b.servers {
		if !slices.Contains(kept, old) {
			old.stop()
		}
	}
	b.servers = kept
}

func (b *Balancer) keepOrAdd(ctx context.Context, address string, fallbackOnly bool) *server {
	for _, old := range b.servers {
		if old.address == address {
			old.fallbackOnly = fallbackOnly
			return old
		}
	}
	added := newServer(ctx, address, fallbackOnly)
	go added.watch(b.trusted)
	return added
}

func (b *Balancer) trusted() *x509.CertPool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.roots
}

func (b *Balancer) accept(ctx context.Context) {
	for {
		connection, err := b.listener.Accept()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			// Out of file descriptors, for example: the listener lives, so wait instead of spinning.
			journal.Warnf("Load balancer %s: %v", name, err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		go b.serve(ctx, connection)
	}
}

// serve joins one client with a server. A client whose server cannot be had sees its connection closed, and tries again.
func (b *Balancer) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	chosen, remote, err := b.dial(ctx)
	if err != nil {
		journal.Debugf("Load balancer %s: %v", name, err)
		return
	}
	defer remote.Close()
	if !chosen.track(remote) {
		return
	}
	defer chosen.forget(remote)
	go func() {
		_, _ = io.Copy(remote, client)
		closeWrite(remote)
	}()
	_, _ = io.Copy(client, remote)
}

func closeWrite(connection net.Conn) {
	if half, ok := connection.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// dial tries the servers in the order of candidates.
func (b *Balancer) dial(ctx context.Context) (*server, net.Conn, error) {
	failure := errNoServer
	for _, candidate := range b.candidates() {
		dialer := net.Dialer{Timeout: dialTimeout, KeepAlive: 10 * time.Second}
		connection, err := dialer.DialContext(ctx, "tcp", candidate.address)
		if err == nil {
			return candidate, connection, nil
		}
		candidate.failed(err)
		failure = fmt.Errorf("%w: %w", failure, err)
	}
	return nil, nil, failure
}

// candidates puts healthy servers first, those with the most connections before others, so that one server serves this
// node until it fails; then the fallback, then the rest as a last hope.
func (b *Balancer) candidates() []*server {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	order := slices.Clone(b.servers)
	ranks := make(map[*server]int, len(order))
	for _, one := range order {
		ranks[one] = one.rank()
	}
	slices.SortStableFunc(order, func(left, right *server) int { return ranks[left] - ranks[right] })
	return order
}
