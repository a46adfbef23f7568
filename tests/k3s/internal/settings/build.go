// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package settings

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast.internal/k3s/internal/flags"
	"holdfast.internal/k3s/internal/unpack"
)

// DefaultDataDir is root's data directory.
const DefaultDataDir = "/var/lib/rancher/k3s"

// Source is what the settings are made from.
type Source struct {
	Flags *flags.Set
	// Arguments are verb and flags as the annotations show them.
	Arguments []string
	Unpacked  *unpack.Unpacked
	DataDir   string
}

// Server completes and checks the settings of `k3s server`. Errors are the sentences of a fatal line.
func Server(ctx context.Context, source Source) (*Settings, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("server must run as root, or with --rootless and/or --disable-agent")
	}
	if year := time.Now().Year(); year < 1980 {
		return nil, fmt.Errorf("server time isn't set properly: %v", time.Now())
	}
	set := source.Flags
	settings := &Settings{Role: RoleServer}
	steps := []func() error{
		func() error { return settings.common(ctx, source) },
		func() error { return settings.node(set) },
		func() error { settings.runtime(set); settings.runtimeOfServer(set); return nil },
		func() error { return settings.controlPlane(ctx, set) },
		func() error { return settings.network(set) },
		func() error { return settings.datastore(set) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return settings, nil
}

// Agent completes and checks the settings of `k3s agent`.
func Agent(ctx context.Context, source Source) (*Settings, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("agent must be run as root, or with --rootless")
	}
	settings := &Settings{Role: RoleAgent}
	if err := settings.common(ctx, source); err != nil {
		return nil, err
	}
	if settings.Token == "" && !settings.joinedBefore() {
		return nil, errors.New("--token is required")
	}
	if settings.ServerURL == "" {
		return nil, errors.New("--server is required")
	}
	if !strings.HasPrefix(settings.ServerURL, "https://") {
		return nil, fmt.Errorf("only https:// URLs are supported, invalid scheme: %s", settings.ServerURL)
	}
	settings.runtime(source.Flags)
	settings.DisableAPIServerLB = source.Flags.Bool("disable-apiserver-lb")
	return settings, settings.node(source.Flags)
}

// joinedBefore tells whether this node has credentials that make a token needless.
func (s *Settings) joinedBefore() bool {
	for _, name := range []string{"client-kubelet.crt", "client-kubelet.key"} {
		if _, err := os.Stat(filepath.Join(s.AgentDir(), name)); err != nil {
			return false
		}
	}
	return true
}

func (s *Settings) common(ctx context.Context, source Source) error {
	set := source.Flags
	token, err := secret(ctx, set.String("token"), set.String("token-file"))
	if err != nil {
		return err
	}
	vpn, err := secret(ctx, set.String("vpn-auth"), set.String("vpn-auth-file"))
	if err != nil {
		return err
	}
	s.Common = Common{
		DataDir:          source.DataDir,
		BinDir:           source.Unpacked.BinDir,
		CNIBinDir:        source.Unpacked.CNIBinDir,
		PayloadDir:       source.Unpacked.Dir,
		Images:           source.Unpacked.Images,
		ConfigFile:       set.String("config"),
		Arguments:        source.Arguments,
		Debug:            set.Bool("debug"),
		Verbosity:        set.Int("v"),
		VModule:          set.String("vmodule"),
		Token:            token,
		ServerURL:        set.String("server"),
		BindAddress:      set.String("bind-address"),
		EnablePprof:      set.Bool("enable-pprof"),
		Rootless:         set.Bool("rootless"),
		PreferBundledBin: set.Bool("prefer-bundled-bin"),
		VPNAuth:          vpn,
	}
	return nil
}

func (s *Settings) runtime(set *flags.Set) {
	s.Runtime = Runtime{
		KubeletArgs:                    set.List("kubelet-arg"),
		KubeProxyArgs:                  set.List("kube-proxy-arg"),
		ProtectKernelDefaults:          set.Bool("protect-kernel-defaults"),
		SELinux:                        set.Bool("selinux"),
		ResolvConf:                     set.String("resolv-conf"),
		PauseImage:                     set.String("pause-image"),
		Snapshotter:                    set.String("snapshotter"),
		DefaultRuntime:                 set.String("default-runtime"),
		ContainerRuntimeEndpoint:       set.String("container-runtime-endpoint"),
		ImageServiceEndpoint:           set.String("image-service-endpoint"),
		Docker:                         set.Bool("docker"),
		NonrootDevices:                 set.Bool("nonroot-devices"),
		RegistriesFile:                 set.String("private-registry"),
		DisableDefaultRegistryEndpoint: set.Bool("disable-default-registry-endpoint"),
		AirgapExtraRegistry:            set.List("airgap-extra-registry"),
		ImageCredentialProviderBinDir:  set.String("image-credential-provider-bin-dir"),
		ImageCredentialProviderConfig:  set.String("image-credential-provider-config"),
		FlannelIface:                   set.String("flannel-iface"),
		FlannelConf:                    set.String("flannel-conf"),
		FlannelCNIConf:                 set.String("flannel-cni-conf"),
		LBServerPort:                   set.Int("lb-server-port"),
	}
	// The default is a constant of a build; in this one, it is the payload's own.
	if !set.Given("pause-image") {
		s.PauseImage = s.Images["pause"]
	}
}

func (s *Settings) runtimeOfServer(set *flags.Set) {
	s.SystemDefaultRegistry = set.String("system-default-registry")
	s.DisableAgent = set.Bool("disable-agent")
	if s.SystemDefaultRegistry != "" && !set.Given("pause-image") {
		s.PauseImage = s.SystemDefaultRegistry + "/" + s.PauseImage
	}
}

func (s *Settings) datastore(set *flags.Set) error {
	s.Datastore = Datastore{
		Endpoint: set.String("datastore-endpoint"),
		CAFile:   set.String("datastore-cafile"),
		CertFile: set.String("datastore-certfile"),
		KeyFile:  set.String("datastore-keyfile"),
	}
	if s.Datastore.Endpoint != "" {
		s.Datastore.Endpoints = strings.Split(s.Datastore.Endpoint, ",")
		for _, flag := range []struct {
			on   bool
			name string
		}{{s.DisableAPIServer, "disable-apiserver"}, {s.DisableEtcd, "disable-etcd"}} {
			if flag.on {
				return fmt.Errorf("invalid flag use; cannot use --%s with --datastore-endpoint", flag.name)
			}
		}
	}
	s.Snapshot = Snapshot{
		ExposeMetrics: set.Bool("etcd-expose-metrics"),
		Disabled:      set.Bool("etcd-disable-snapshots"),
		Name:          set.String("etcd-snapshot-name"),
		Schedule:      set.String("etcd-snapshot-schedule-cron"),
		Retention:     set.Int("etcd-snapshot-retention"),
		Dir:           set.String("etcd-snapshot-dir"),
		Compress:      set.Bool("etcd-snapshot-compress"),
		Reconcile:     set.Duration("etcd-snapshot-reconcile-interval"),
	}
	if s.Snapshot.Dir == "" {
		s.Snapshot.Dir = filepath.Join(s.ServerDir(), "db", "snapshots")
	}
	return nil
}
