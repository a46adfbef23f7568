// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package server brings a server up in k3s' order: datastore and secrets, the listener on 6443, the control plane, the
// server's own node, and what keeps the cluster in shape while it runs.
package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"holdfast.internal/k3s/internal/agent"
	"holdfast.internal/k3s/internal/bootstrap"
	"holdfast.internal/k3s/internal/components"
	"holdfast.internal/k3s/internal/datastore"
	"holdfast.internal/k3s/internal/deploy"
	"holdfast.internal/k3s/internal/etcdsnapshot"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/shutdown"
	"holdfast.internal/k3s/internal/supervisor"
)

// minimumYear is the year below which a clock was never set; certificates made then would be good for nobody.
const minimumYear = 1980

// running is a server whose secrets are prepared.
type running struct {
	settings   *settings.Settings
	material   *material.Material
	store      *datastore.Store
	admin      *rest.Config
	supervisor *supervisor.Supervisor
}

// Run starts everything and returns when the context ends, or with the error that made the start impossible.
func Run(ctx context.Context, s *settings.Settings) error {
	if now := time.Now(); now.Year() < minimumYear {
		return fmt.Errorf("server time isn't set properly: %v", now)
	}
	r := &running{settings: s}
	if err := r.prepare(ctx); err != nil {
		return fmt.Errorf("starting kubernetes: preparing server: %w", err)
	}
	if err := r.start(ctx); err != nil {
		return fmt.Errorf("starting kubernetes: %w", err)
	}
	<-ctx.Done()
	return nil
}

// prepare makes all that must be there before the first component starts, and opens 6443.
func (r *running) prepare(ctx context.Context) error {
	s := r.settings
	if err := os.MkdirAll(s.ServerDir(), 0o700); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(s.ServerDir(), 0o700), os.Chdir(s.ServerDir())); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.ServerDir(), "static"), 0o700); err != nil {
		return err
	}
	var err error
	if r.store, err = datastore.Open(ctx, s); err != nil {
		return err
	}
	if r.material, err = bootstrap.Prepare(ctx, s, r.store); err != nil {
		return err
	}
	if err := os.MkdirAll(r.material.TemporaryCerts, 0o700); err != nil {
		return err
	}
	err = errors.Join(components.WriteKubeconfigs(s, r.material), components.WriteEgressSelector(s, r.material))
	if err != nil {
		return err
	}
	if err := deploy.Stage(filepath.Join(s.ServerDir(), "manifests"), manifestValues(s), s.Disable); err != nil {
		return err
	}
	r.admin = adminConfig(s, r.material)
	options := supervisor.Options{
		Settings: s, Material: r.material, Admin: r.admin, ServerOnly: r.serverOnly(),
	}
	if r.supervisor, err = supervisor.New(ctx, options); err != nil {
		return err
	}
	if err := r.supervisor.Start(); err != nil {
		return err
	}
	return components.WriteAdminKubeconfig(s, r.material)
}

// start runs the apiserver and the own node; what needs the API follows in the background.
func (r *running) start(ctx context.Context) error {
	s := r.settings
	if s.DisableAPIServer {
		return errors.New("disable-apiserver is not done by the stand-in")
	}
	if err := components.StartAPIServer(s, r.material); err != nil {
		return err
	}
	journal.Infof("Server node token is available at %s", r.material.ServerToken)
	journal.Infof("To join server node to cluster: k3s server -s https://%s:%d -t ${SERVER_NODE_TOKEN}", s.AdvertiseIP, s.AdvertisePort)
	journal.Infof("Agent node token is available at %s", r.material.AgentToken)
	journal.Infof("To join agent node to cluster: k3s agent -s https://%s:%d -t ${AGENT_NODE_TOKEN}", s.AdvertiseIP, s.AdvertisePort)
	go func() {
		if err := r.afterAPI(ctx); err != nil && ctx.Err() == nil {
			shutdown.Request(err)
		}
	}()
	if s.DisableAgent {
		return nil
	}
	token, err := os.ReadFile(r.material.ServerToken)
	if err != nil {
		return err
	}
	local := agent.Server{
		URL:   fmt.Sprintf("https://127.0.0.1:%d", s.HTTPSPort),
		Token: strings.TrimSpace(string(token)),
	}
	go func() {
		if err := agent.RunLocal(ctx, s, local); err != nil && ctx.Err() == nil {
			shutdown.Request(err)
		}
	}()
	return nil
}

// manifestValues are what the packaged manifests are filled with.
func manifestValues(s *settings.Settings) deploy.Values {
	values := deploy.Values{
		ClusterDomain:           s.ClusterDomain,
		IPFamilyPolicy:          "SingleStack",
		DefaultLocalStoragePath: s.DefaultLocalStoragePath,
		KubeletAddressTypes:     "InternalIP,ExternalIP,Hostname",
		CipherSuites:            strings.Join(components.CipherSuites, ","),
		Images:                  s.Images,
		Registry:                s.SystemDefaultRegistry,
	}
	if len(s.ClusterDNS) > 0 {
		values.ClusterDNS = s.ClusterDNS[0].String()
	}
	if len(s.ServiceCIDRs) > 1 {
		values.IPFamilyPolicy = "PreferDualStack"
	}
	if s.FlannelExternalIP {
		values.KubeletAddressTypes = "ExternalIP,InternalIP,Hostname"
	}
	return values
}

// adminConfig is a client of this server's own kube-apiserver with all rights, as k3s' own controllers are.
func adminConfig(s *settings.Settings, m *material.Material) *rest.Config {
	return &rest.Config{
		Host: "https://" + components.APIServerAddress(s),
		TLSClientConfig: rest.TLSClientConfig{
			CAFile: m.ServerCA.Cert, CertFile: m.Supervisor.Cert, KeyFile: m.Supervisor.Key,
		},
		UserAgent: "k3s-supervisor",
		// The default of 5 requests a second would make the first start wait for itself.
		QPS: 50, Burst: 100,
		WarningHandler: rest.NoWarnings{},
		Timeout:        0,
	}
}

// serverOnly are the paths that belong to other packages and ask for the server token.
func (r *running) serverOnly() map[string]http.Handler {
	paths := map[string]http.Handler{etcdsnapshot.Path: etcdsnapshot.Handler(r.settings, r.store)}
	for path, handler := range bootstrap.Handlers(r.settings, r.material, r.store) {
		paths[path] = handler
	}
	return paths
}
