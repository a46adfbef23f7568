// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package supervisor is the listener on 6443: what nodes and operators ask of a server before and beside the
// Kubernetes API, and the way to that API for everyone else.
package supervisor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"

	"holdfast.internal/k3s/internal/certificates"
	"holdfast.internal/k3s/internal/components"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/token"
	"holdfast.internal/k3s/internal/wire"
)

// apiTimeout bounds every question that the supervisor itself asks the API while somebody waits.
const apiTimeout = 10 * time.Second

// Options are what a supervisor needs.
type Options struct {
	Settings *settings.Settings
	Material *material.Material
	// Admin is a client configuration for the kube-apiserver of this server.
	Admin *rest.Config
	// Extra are further paths: who may ask is decided here, what is answered elsewhere.
	ServerOnly map[string]http.Handler
}

// Supervisor serves 6443.
type Supervisor struct {
	ctx     context.Context
	options Options
	users   token.Users
	cluster *cluster
	serving *serving

	clientCAs       *x509.CertPool
	clientAuthority *certificates.Authority
	serverAuthority *certificates.Authority

	ready    atomic.Bool
	deferred sync.Once
	static   string
}

// New loads what the supervisor needs; nothing listens yet.
func New(ctx context.Context, options Options) (*Supervisor, error) {
	m := options.Material
	s := &Supervisor{ctx: ctx, options: options}
	var err error
	if s.users, err = token.LoadUsers(m.Passwords); err != nil {
		return nil, err
	}
	if s.clientAuthority, err = certificates.LoadAuthority(m.ClientCA); err != nil {
		return nil, err
	}
	if s.serverAuthority, err = certificates.LoadAuthority(m.ServerCA); err != nil {
		return nil, err
	}
	s.clientCAs = x509.NewCertPool()
	for _, certificate := range s.clientAuthority.Chain {
		s.clientCAs.AddCert(certificate)
	}
	dns, ips := certificates.ServerNames(options.Settings)
	if s.serving, err = loadServing(m, s.serverAuthority, dns, ips); err != nil {
		return nil, err
	}
	if s.cluster, err = newCluster(options.Admin); err != nil {
		return nil, err
	}
	return s, nil
}

// SetReady opens what needs the API: the apiserver answered, and what is done once after a start was done.
func (s *Supervisor) SetReady() { s.ready.Store(true) }

// Start listens and serves until the context ends.
func (s *Supervisor) Start() error {
	handler, err := s.handler()
	if err != nil {
		return err
	}
	listeners, err := listen(s.options.Settings)
	if err != nil {
		return fmt.Errorf("failed to start supervisor listener: %w", err)
	}
	config, err := s.tlsConfig()
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler,
		TLSConfig:         config,
		ReadHeaderTimeout: 32 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          log.New(debugWriter{}, "", 0),
	}
	for _, listener := range listeners {
		go func() {
			err := server.ServeTLS(listener, "", "")
			if !errors.Is(err, http.ErrServerClosed) && s.ctx.Err() == nil {
				journal.Errorf("supervisor listener %s ended: %v", listener.Addr(), err)
			}
		}()
	}
	context.AfterFunc(s.ctx, func() { _ = server.Close() })
	return nil
}

// listen opens the port on the bind address, and on loopback too where that address is a single other one: the
// server's own node connects there.
func listen(s *settings.Settings) ([]net.Listener, error) {
	address := s.BindAddress
	if address == "0.0.0.0" || address == "::" {
		address = ""
	}
	port := strconv.Itoa(s.HTTPSPort)
	first, err := net.Listen("tcp", net.JoinHostPort(address, port))
	if err != nil {
		return nil, err
	}
	listeners := []net.Listener{first}
	if ip := net.ParseIP(address); address != "" && (ip == nil || !ip.IsLoopback()) {
		second, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			return nil, errors.Join(err, first.Close())
		}
		listeners = append(listeners, second)
	}
	return listeners, nil
}

// handler puts the routes together. What is not named here is the apiserver's.
func (s *Supervisor) handler() (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wire.PathPing, func(w http.ResponseWriter, _ *http.Request) { sendText(w, "pong") })
	mux.HandleFunc("GET "+wire.PathCACerts, s.file(s.options.Material.ServerCA.Cert))
	static := http.FileServer(http.Dir(s.options.Settings.ServerDir() + "/static"))
	mux.Handle("GET /static/", http.StripPrefix("/static/", static))

	node := func(path string, next func(http.ResponseWriter, *http.Request, caller)) {
		mux.Handle(path, s.require(accessNode, next))
	}
	plain := func(next http.HandlerFunc) func(http.ResponseWriter, *http.Request, caller) {
		return func(w http.ResponseWriter, r *http.Request, _ caller) { next(w, r) }
	}
	node(wire.PathConfig, plain(s.config))
	node(wire.PathAPIServers, plain(s.apiServers))
	node(wire.PathReadyz, plain(s.readyz))
	node(wire.PathClientCA, plain(s.file(s.options.Material.ClientCA.Cert)))
	node(wire.PathServerCA, plain(s.file(s.options.Material.ServerCA.Cert)))
	node(wire.PathServingKubelet, s.servingKubelet)
	node(wire.PathClientKubelet, s.clientKubelet)
	node(wire.PathClientKubeProxy, s.clientOf("system:kube-proxy"))
	node(wire.PathClientController, s.clientOf("system:k3s-controller"))
	for path, handler := range s.options.ServerOnly {
		mux.Handle(path, s.require(accessServer, plain(handler.ServeHTTP)))
	}
	mux.Handle(wire.Prefix+"/", s.require(accessNode, func(w http.ResponseWriter, _ *http.Request, _ caller) {
		sendError(w, http.StatusNotFound, "not found")
	}))
	proxy, err := s.apiProxy()
	if err != nil {
		return nil, err
	}
	mux.Handle("/", proxy)
	return exact(mux, proxy), nil
}

// exact keeps ServeMux from redirecting paths that it finds untidy: they are the apiserver's to judge.
func exact(mux *http.ServeMux, rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "/" || pattern == "" {
			rest.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *Supervisor) apiProxy() (*apiProxy, error) {
	own := s.options.Settings
	m := s.options.Material
	roots := x509.NewCertPool()
	for _, certificate := range s.serverAuthority.Chain {
		roots.AddCert(certificate)
	}
	front, err := tls.LoadX509KeyPair(m.AuthProxy.Cert, m.AuthProxy.Key)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{front}, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12,
	}
	return newAPIProxy(components.APIServerAddress(own), config, s.verifiedClient), nil
}

// file answers with a file as it is on the disk now.
func (s *Supervisor) file(path string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		content, err := os.ReadFile(path)
		if err != nil {
			sendError(w, http.StatusInternalServerError, err.Error())
			return
		}
		sendText(w, string(content))
	}
}
