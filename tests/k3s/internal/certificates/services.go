// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package certificates

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The folders that a service's files are relative to.
const (
	serverTLS = "server/tls"
	agentTLS  = "agent"
)

// services maps the names that operators give to `certificate` to the files, without .crt and .key.
var services = map[string][]string{
	"admin":              {serverTLS + "/client-admin"},
	"api-server":         {serverTLS + "/client-kube-apiserver", serverTLS + "/serving-kube-apiserver"},
	"auth-proxy":         {serverTLS + "/client-auth-proxy"},
	"cloud-controller":   {serverTLS + "/client-k3s-cloud-controller"},
	"controller-manager": {serverTLS + "/client-controller", serverTLS + "/kube-controller-manager/kube-controller-manager"},
	"etcd":               {serverTLS + "/etcd/client", serverTLS + "/etcd/server-client", serverTLS + "/etcd/peer-server-client"},
	"k3s-controller":     {serverTLS + "/client-k3s-controller", agentTLS + "/client-k3s-controller"},
	"k3s-server":         {},
	"kube-proxy":         {serverTLS + "/client-kube-proxy", agentTLS + "/client-kube-proxy"},
	"kubelet":            {agentTLS + "/client-kubelet", agentTLS + "/serving-kubelet"},
	"scheduler":          {serverTLS + "/client-scheduler", serverTLS + "/kube-scheduler/kube-scheduler"},
	"supervisor":         {serverTLS + "/client-supervisor"},
}

// listenerService is the one whose certificate is not a file but the 6443 listener's cache.
const listenerService = "k3s-server"

// chosenServices checks an operator's list, repeated or with commas; an empty one means all.
func chosenServices(wanted []string) ([]string, error) {
	if len(wanted) == 0 {
		return slices.Sorted(maps.Keys(services)), nil
	}
	var chosen []string
	for _, name := range strings.Split(strings.Join(wanted, ","), ",") {
		if _, known := services[name]; !known {
			return nil, fmt.Errorf("service %s is not recognized", name)
		}
		if !slices.Contains(chosen, name) {
			chosen = append(chosen, name)
		}
	}
	return chosen, nil
}

// presentFiles gives the service's files with these endings that are on this host.
func presentFiles(dataDir, service string, endings ...string) ([]string, error) {
	var found []string
	for _, base := range services[service] {
		for _, ending := range endings {
			path := filepath.Join(dataDir, base+ending)
			_, err := os.Stat(path)
			if err == nil {
				found = append(found, path)
			} else if !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	return found, nil
}

// isServer tells whether this host has been a server, and where it keeps its certificates.
func isServer(dataDir string) bool {
	_, err := os.Stat(filepath.Join(dataDir, serverTLS))
	return err == nil
}
