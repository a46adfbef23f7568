// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package tools hands over to the bundled kubectl and ctr, set up for this cluster.
package tools

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/settings"
)

const containerdSocket = "/run/k3s/containerd/containerd.sock"

// Kubectl replaces this process by kubectl. Without KUBECONFIG it uses the administrator's file of this server.
func Kubectl(binDir string, arguments []string) error {
	if os.Getenv("KUBECONFIG") == "" && !names(arguments, "--kubeconfig") {
		useAdminKubeconfig()
	}
	return run(binDir, "kubectl", arguments)
}

func useAdminKubeconfig() {
	path := settings.DefaultKubeconfig
	if chosen := os.Getenv("K3S_KUBECONFIG_OUTPUT"); chosen != "" {
		path = chosen
	}
	if _, err := os.Stat(path); err != nil {
		return
	}
	_ = os.Setenv("KUBECONFIG", path)
	file, err := os.Open(path)
	if err != nil {
		journal.Warnf("Unable to read %s, please start server with --write-kubeconfig-mode or --write-kubeconfig-group to modify kube config permissions", path)
		return
	}
	file.Close()
}

// Ctr replaces this process by containerd's own client, which must find this containerd and the kubelet's images.
func Ctr(binDir string, arguments []string) error {
	for name, value := range map[string]string{"CONTAINERD_ADDRESS": containerdSocket, "CONTAINERD_NAMESPACE": "k8s.io"} {
		if os.Getenv(name) == "" {
			_ = os.Setenv(name, value)
		}
	}
	return run(binDir, "ctr", arguments)
}

func names(arguments []string, flag string) bool {
	for _, argument := range arguments {
		if argument == flag || strings.HasPrefix(argument, flag+"=") {
			return true
		}
	}
	return false
}

func run(binDir, name string, arguments []string) error {
	return syscall.Exec(filepath.Join(binDir, name), append([]string{name}, arguments...), os.Environ())
}
