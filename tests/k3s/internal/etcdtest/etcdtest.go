// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package etcdtest runs a real etcd with TLS client certificates for the tests of other packages.
package etcdtest

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"holdfast.internal/k3s/internal/certificates"
	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/material"
)

const variable = "ETCD_BIN"

// Binary is the path of etcd. Tests that need it fail without it: a test that is left out in silence proves nothing.
func Binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set: it must be the path of an etcd 3.6 executable, for example the one in the bundle", variable)
	}
	return path
}

// Server is a running etcd and the files to speak to it.
type Server struct {
	Endpoint  string
	Authority material.Pair
	Client    material.Pair

	t       *testing.T
	binary  string
	folder  string
	serving material.Pair
	command *exec.Cmd
}

// Start runs etcd on a free loopback port until the test ends.
func Start(t *testing.T) *Server {
	t.Helper()
	folder := t.TempDir()
	pair := func(name string) material.Pair {
		return material.Pair{Cert: filepath.Join(folder, name+".crt"), Key: filepath.Join(folder, name+".key")}
	}
	s := &Server{
		Authority: pair("ca"), Client: pair("client"), serving: pair("serving"),
		t: t, binary: Binary(t), folder: folder, Endpoint: "https://" + FreeAddress(t),
	}
	if _, err := certificates.EnsureAuthority(s.Authority, "test-etcd"); err != nil {
		t.Fatal(err)
	}
	s.sign(s.serving, certificates.Request{
		CommonName: "etcd", DNS: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Usage: certificates.Both,
	})
	s.RenewClient()
	s.Run()
	t.Cleanup(s.Stop)
	return s
}

// Run starts etcd, again after Stop with the same data.
func (s *Server) Run() {
	s.t.Helper()
	peer := "http://" + FreeAddress(s.t)
	s.command = exec.Command(s.binary,
		"--name=test", "--data-dir="+filepath.Join(s.folder, "data"), "--log-level=error", "--unsafe-no-fsync",
		"--listen-client-urls="+s.Endpoint, "--advertise-client-urls="+s.Endpoint, "--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer, "--initial-cluster=test="+peer,
		"--cert-file="+s.serving.Cert, "--key-file="+s.serving.Key, "--client-cert-auth", "--trusted-ca-file="+s.Authority.Cert)
	s.command.Stderr = os.Stderr
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	address := s.Endpoint[len("https://"):]
	deadline := time.Now().Add(30 * time.Second)
	for {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			_ = connection.Close()
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("etcd does not listen: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Stop ends etcd; its data stay until the test ends.
func (s *Server) Stop() {
	if s.command == nil {
		return
	}
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
	s.command = nil
}

// RenewClient makes a new certificate for the client where there is none.
func (s *Server) RenewClient() {
	s.t.Helper()
	s.sign(s.Client, certificates.Request{CommonName: "k3s", Usage: certificates.Client})
}

// Pause holds etcd still: its port answers, and nothing else does.
func (s *Server) Pause(on bool) {
	signal := syscall.SIGCONT
	if on {
		signal = syscall.SIGSTOP
	}
	if err := s.command.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) sign(pair material.Pair, request certificates.Request) {
	s.t.Helper()
	authority, err := certificates.LoadAuthority(s.Authority)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := authority.EnsureLeaf(pair, request); err != nil {
		s.t.Fatal(err)
	}
}

// FreeAddress finds a loopback address that nobody listens on.
func FreeAddress(t *testing.T) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", FreePort(t))
}

// FreePort finds a port that nobody listens on.
func FreePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// ExpireClient replaces the client's certificate by one that ended an hour ago.
func (s *Server) ExpireClient() {
	s.t.Helper()
	chain, err := certificates.LoadChain(s.Authority.Cert)
	if err != nil {
		s.t.Fatal(err)
	}
	content, err := os.ReadFile(s.Authority.Key)
	if err != nil {
		s.t.Fatal(err)
	}
	issuer, err := certificates.ParseKey(s.Authority.Key, content)
	if err != nil {
		s.t.Fatal(err)
	}
	key, err := certificates.LoadOrCreateKey(s.Client.Key)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "k3s"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, chain[0], key.Public(), issuer)
	if err != nil {
		s.t.Fatal(err)
	}
	block := &pem.Block{Type: "CERTIFICATE", Bytes: der}
	if err := durable.Write(s.Client.Cert, pem.EncodeToMemory(block), 0o600); err != nil {
		s.t.Fatal(err)
	}
}
