// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package flannel

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/process"
	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/shutdown"
)

// subnetFile is where the CNI plugin looks. It is lost at a reboot, when the interfaces are lost too.
const subnetFile = "/run/flannel/subnet.env"

// Start runs flannel and returns once this node's pods can have addresses. Its end is the end of the program.
func Start(ctx context.Context, s *settings.Settings, o Options, netConfPath string) error {
	if _, err := backend(o.Backend); err != nil && s.FlannelConf == "" {
		return err
	}
	journal.Infof("Starting flannel with backend %s", o.Backend)
	before := stamp()
	child, err := process.Start(process.Spec{
		Name: "flannel", Argv0: "flanneld", Path: s.Binary("flanneld"), Args: arguments(s, o, netConfPath),
		Env: []string{"NODE_NAME=" + s.NodeName}, Stage: process.StageClient,
		OnExit: func(err error) { shutdown.Request(exitReason(o.Backend, err)) },
	})
	if err != nil {
		return err
	}
	for ticker := time.Tick(100 * time.Millisecond); ; {
		if now := stamp(); now != "" && now != before {
			journal.Infof("flannel is up")
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-child.Done():
			// The program ends because of it already; this error only stops what would have come next.
			return fmt.Errorf("flannel exited: %w", child.Err())
		case <-ticker:
		}
	}
}

// exitReason says what an operator can do about the one backend that not every kernel has.
func exitReason(backend string, err error) error {
	if backend == backendWireGuard && !hasWireGuard() {
		return fmt.Errorf("flannel exited: %w: this kernel has no WireGuard; load its module or choose another flannel-backend", err)
	}
	return fmt.Errorf("flannel exited: %w", err)
}

// hasWireGuard is true where the module is loaded or built in and used; it is asked only after flannel tried.
func hasWireGuard() bool {
	_, err := os.Stat("/sys/module/wireguard")
	return err == nil
}

// stamp changes whenever the file is written anew, even with the same content.
func stamp() string {
	facts, err := os.Stat(subnetFile)
	if err != nil {
		return ""
	}
	return facts.ModTime().Format(time.RFC3339Nano)
}

func arguments(s *settings.Settings, o Options, netConfPath string) []string {
	given := map[string]string{
		"ip-masq":         "true",
		"kubeconfig-file": o.Kubeconfig,
		"net-config-path": netConfPath,
		"subnet-file":     subnetFile,
	}
	four, six := first(s.NodeIPs, true), first(s.NodeIPs, false)
	switch {
	case s.FlannelIface != "":
		given["iface"] = s.FlannelIface
	case four != "":
		given["iface"] = four
	default:
		given["iface"] = six
	}
	if o.ExternalIP && len(s.NodeExternalIPs) > 0 {
		four, six = first(s.NodeExternalIPs, true), first(s.NodeExternalIPs, false)
	}
	if four != "" {
		given["public-ip"] = four
	}
	if six != "" {
		given["public-ipv6"] = six
	}
	if s.Verbosity > 0 {
		given["v"] = strconv.Itoa(s.Verbosity)
	}
	return process.MergeArgs(given, nil)
}

// first is the first address of a family, or "".
func first(addresses []net.IP, four bool) string {
	for _, address := range addresses {
		if (address.To4() != nil) == four {
			return address.String()
		}
	}
	return ""
}
