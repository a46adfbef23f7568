// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package loadbalancer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"holdfast.internal/k3s/internal/journal"
)

const (
	healthInterval = time.Second
	healthTimeout  = 3 * time.Second
	// healthFailures is how many checks in a row must fail. A refused connection to a new client counts as one.
	healthFailures = 2
)

// server is one server with what is known of its health, and the connections that lead to it.
type server struct {
	address      string
	fallbackOnly bool
	ctx          context.Context
	stop         context.CancelFunc

	mutex       sync.Mutex
	failures    int
	known       bool // a check has succeeded or failed for good
	connections map[net.Conn]bool
}

func newServer(ctx context.Context, address string, fallbackOnly bool) *server {
	s := &server{address: address, fallbackOnly: fallbackOnly, connections: map[net.Conn]bool{}}
	s.ctx, s.stop = context.WithCancel(ctx)
	context.AfterFunc(s.ctx, s.closeAll)
	return s
}

// rank sorts servers: lower is tried first.
func (s *server) rank() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	healthy := s.failures < healthFailures
	switch {
	case healthy && !s.fallbackOnly && len(s.connections) > 0:
		return 0
	case healthy && !s.fallbackOnly && s.known:
		return 1
	case healthy && !s.fallbackOnly:
		return 2
	case healthy:
		return 3
	default:
		return 4
	}
}

// track remembers a connection so that it can be closed with its server; false if the server is gone already.
func (s *server) track(connection net.Conn) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.connections[connection] = true
	return true
}

func (s *server) forget(connection net.Conn) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.connections, connection)
}

func (s *server) closeAll() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for connection := range s.connections {
		_ = connection.Close()
	}
	clear(s.connections)
}

// failed counts a failure. From the last one that is forgiven on, all connections are closed, late ones too: a server
// behind a pulled cable never closes them itself, and its clients would wait for minutes.
func (s *server) failed(err error) {
	s.mutex.Lock()
	s.failures++
	s.known = true
	failures := s.failures
	s.mutex.Unlock()
	if failures < healthFailures || s.ctx.Err() != nil {
		return
	}
	if failures == healthFailures {
		journal.Warnf("Load balancer %s: server %s is unhealthy, closing its connections: %v", name, s.address, err)
	}
	s.closeAll()
}

func (s *server) succeeded() {
	s.mutex.Lock()
	recovered := s.failures >= healthFailures
	s.failures = 0
	s.known = true
	s.mutex.Unlock()
	if recovered {
		journal.Infof("Load balancer %s: server %s is healthy again", name, s.address)
	}
}

// watch asks for /ping once a second over one connection that is kept.
func (s *server) watch(roots func() *x509.CertPool) {
	var client *http.Client
	var trusted *x509.CertPool
	ticker := time.NewTicker(healthInterval)
	defer ticker.Stop()
	for {
		if now := roots(); client == nil || now != trusted {
			if client != nil {
				client.CloseIdleConnections()
			}
			client, trusted = pingClient(now), now
		}
		if err := s.ping(client); err == nil {
			s.succeeded()
		} else {
			s.failed(err)
			// A connection that answered nothing in time must not be the one that is asked next.
			client.CloseIdleConnections()
		}
		select {
		case <-s.ctx.Done():
			client.CloseIdleConnections()
			return
		case <-ticker.C:
		}
	}
}

// pingClient verifies the chain but not the name: a VIP or a new address need not be in the certificate for health.
func pingClient(roots *x509.CertPool) *http.Client {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}
	if roots != nil {
		config.VerifyConnection = func(state tls.ConnectionState) error {
			options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
			for _, certificate := range state.PeerCertificates[1:] {
				options.Intermediates.AddCert(certificate)
			}
			_, err := state.PeerCertificates[0].Verify(options)
			return err
		}
	}
	return &http.Client{Timeout: healthTimeout, Transport: &http.Transport{
		TLSClientConfig: config, MaxIdleConnsPerHost: 1, DisableCompression: true,
	}}
}

func (s *server) ping(client *http.Client) error {
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, "https://"+s.address+"/ping", nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1024))
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("/ping: %s", answer.Status)
	}
	return nil
}
