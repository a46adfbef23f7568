// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package kubelet

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/settings"
)

// ownFiles are the configuration files that an operator named by kubelet-arg. They are copied, since the kubelet reads
// one folder only.
type ownFiles struct{ config, directory string }

// takeOwnFiles takes config= and config-dir= out of the arguments.
func takeOwnFiles(arguments []string) (ownFiles, []string) {
	var own ownFiles
	var rest []string
	for _, argument := range arguments {
		name, value, _ := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
		switch name {
		case "config":
			own.config = value
		case "config-dir":
			own.directory = value
		default:
			rest = append(rest, argument)
		}
	}
	return own, rest
}

// copyTo replaces what an earlier start copied.
func (o ownFiles) copyTo(directory string) error {
	single, folder := filepath.Join(directory, ownConfigName), filepath.Join(directory, ownConfigDir)
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.RemoveAll(single); err != nil {
		return err
	}
	if o.config != "" {
		if err := copyFile(o.config, single); err != nil {
			return fmt.Errorf("copying kubelet config %s into managed drop-in config dir: %w", o.config, err)
		}
	}
	if o.directory == "" {
		return nil
	}
	entries, err := os.ReadDir(o.directory)
	if err != nil {
		return fmt.Errorf("copying kubelet config-dir %s into managed drop-in config dir: %w", o.directory, err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		if err := copyFile(filepath.Join(o.directory, entry.Name()), filepath.Join(folder, entry.Name())); err != nil {
			return fmt.Errorf("copying kubelet config-dir %s into managed drop-in config dir: %w", o.directory, err)
		}
	}
	return nil
}

func copyFile(from, to string) error {
	contents, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return durable.Write(to, contents, 0o600)
}

// listenAddress is where port 10250 listens: everywhere, in the family that the node has.
func listenAddress(s *settings.Settings) string {
	if s.BindAddress != "" {
		return s.BindAddress
	}
	if onlyIPv6(s.NodeIPs) {
		return "::"
	}
	return "0.0.0.0"
}

func loopback(s *settings.Settings) string {
	if onlyIPv6(s.NodeIPs) {
		return "::1"
	}
	return "127.0.0.1"
}

func onlyIPv6(addresses []net.IP) bool {
	return len(addresses) > 0 && !hasFamily(addresses, true)
}

func hasFamily(addresses []net.IP, four bool) bool {
	for _, address := range addresses {
		if (address.To4() != nil) == four {
			return true
		}
	}
	return false
}

func sysctlsOfServiceLB(s *settings.Settings) []string {
	var allowed []string
	if hasFamily(s.NodeIPs, true) {
		allowed = append(allowed, "net.ipv4.ip_forward")
	}
	if hasFamily(s.NodeIPs, false) {
		allowed = append(allowed, "net.ipv6.conf.all.forwarding")
	}
	return allowed
}
