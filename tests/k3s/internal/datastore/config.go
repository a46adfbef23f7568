// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package datastore

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
)

const loopback = "127.0.0.1"

// Ports are where an embedded member listens.
type Ports struct {
	Client  string
	Peer    string
	Metrics string
}

// defaultPorts are k3s', the same on all servers. Only tests, with several members on one host, use others.
var defaultPorts = Ports{Client: "2379", Peer: "2380", Metrics: "2381"}

// peers is what a member must know to start for the first time.
type peers struct {
	// cluster is etcd's initial-cluster: "name=url,name=url".
	cluster string
	// state is "new" or "existing".
	state string
}

// transport is the security section of etcd's configuration file.
type transport struct {
	Cert       string `json:"cert-file"`
	Key        string `json:"key-file"`
	ClientAuth bool   `json:"client-cert-auth"`
	CA         string `json:"trusted-ca-file"`
}

// memberConfig renders etcd's configuration file. JSON is YAML too, and etcd takes either a file or flags, never both,
// so the operator's etcd-arg values go in here.
func (s *Store) memberConfig(m *material.Material, name string, join peers) ([]byte, error) {
	clients := []string{s.ownURL()}
	peerURLs := []string{url(loopback, s.ports.Peer)}
	node := s.settings.NodeIPs[0].String()
	if s.Clustered() {
		clients = append(clients, url(node, s.ports.Client))
		peerURLs = append(peerURLs, url(node, s.ports.Peer))
	}
	metrics := []string{"http://" + net.JoinHostPort(loopback, s.ports.Metrics)}
	if s.settings.Snapshot.ExposeMetrics {
		metrics = append(metrics, "http://"+net.JoinHostPort(node, s.ports.Metrics))
	}
	values := map[string]any{
		"name":                        name,
		"data-dir":                    dataDir(s.settings),
		"listen-client-urls":          strings.Join(clients, ","),
		"advertise-client-urls":       clients[len(clients)-1],
		"listen-peer-urls":            strings.Join(peerURLs, ","),
		"initial-advertise-peer-urls": s.peerURL(),
		"listen-metrics-urls":         strings.Join(metrics, ","),
		"client-transport-security":   transport{m.EtcdServer.Cert, m.EtcdServer.Key, true, m.EtcdServerCA.Cert},
		"peer-transport-security":     transport{m.EtcdPeer.Cert, m.EtcdPeer.Key, true, m.EtcdPeerCA.Cert},
		"logger":                      "zap",
		"log-outputs":                 []string{"stderr"},
		"log-level":                   logLevel(s.settings.Debug),
		"heartbeat-interval":          500,
		"election-timeout":            5000,
		"snapshot-count":              10000,
		"feature-gates":               "InitialCorruptCheck=true",
	}
	if join.cluster != "" {
		values["initial-cluster"] = join.cluster
		values["initial-cluster-state"] = join.state
	}
	if err := mergeArgs(values, s.settings.EtcdArgs); err != nil {
		return nil, err
	}
	content, err := json.MarshalIndent(values, "", "  ")
	return append(content, '\n'), err
}

// mergeArgs puts the operator's values over ours, each as the type that etcd's file wants.
func mergeArgs(values map[string]any, extra []string) error {
	for _, argument := range extra {
		key, text, found := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
		if key == "" {
			return fmt.Errorf("invalid etcd-arg %q: must be key=value", argument)
		}
		if !found {
			text = "true"
		}
		values[key] = typed(text)
	}
	return nil
}

func typed(text string) any {
	if number, err := strconv.ParseInt(text, 10, 64); err == nil {
		return number
	}
	if on, err := strconv.ParseBool(text); err == nil {
		return on
	}
	return text
}

func dataDir(s *settings.Settings) string { return filepath.Join(s.ServerDir(), "db", "etcd") }

// peerURL is where the other members reach this one.
func (s *Store) peerURL() string {
	if s.Clustered() {
		return url(s.settings.NodeIPs[0].String(), s.ports.Peer)
	}
	return url(loopback, s.ports.Peer)
}

// ownURL is where this host's clients reach the member.
func (s *Store) ownURL() string { return url(loopback, s.ports.Client) }

func url(host, port string) string { return "https://" + net.JoinHostPort(host, port) }

// logLevel keeps etcd's many info lines out of the journal unless someone looks for them.
func logLevel(debug bool) string {
	if debug {
		return "info"
	}
	return "warn"
}
