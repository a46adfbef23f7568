// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package datastore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/process"
	"holdfast.internal/k3s/internal/shutdown"
)

const (
	fileMode   fs.FileMode = 0o600
	folderMode fs.FileMode = 0o700
	// stopGrace is what etcd gets to hand over its leadership.
	stopGrace = 10 * time.Second
	// startPatience bounds the wait for an embedded etcd. Members that start again together wait for one another's
	// majority, so it is long.
	startPatience = 5 * time.Minute
	pollInterval  = 200 * time.Millisecond
)

// member is the running child.
type member struct {
	child    *process.Child
	stopping atomic.Bool
}

// Initialized tells whether this host already has a member's data, which then say who its peers are.
func (s *Store) Initialized() bool {
	entries, err := os.ReadDir(filepath.Join(dataDir(s.settings), "member", "wal"))
	return err == nil && len(entries) > 0
}

// Clustered tells whether other servers can join: after cluster-init, or a join, at this start or an earlier one.
func (s *Store) Clustered() bool {
	if s.settings.ClusterInit || s.settings.ServerURL != "" {
		return true
	}
	_, err := os.Stat(s.clusteredMarker())
	return err == nil
}

// Name is this member's name, made once.
func (s *Store) Name() (string, error) {
	path := filepath.Join(dataDir(s.settings), "name")
	content, err := os.ReadFile(path)
	if err == nil && len(content) > 0 {
		return strings.TrimSpace(string(content)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	random := make([]byte, 4)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	name := s.settings.NodeName + "-" + hex.EncodeToString(random)
	return name, durable.Write(path, []byte(name), fileMode)
}

// Known asks for the client URLs of the other members. Only a member that is not a voter yet is interested; nil is for a
// server that has nobody to ask.
type Known func(ctx context.Context) ([]string, error)

// StartMember runs etcd as a child and waits until it answers.
func (s *Store) StartMember(ctx context.Context, m *material.Material, known Known) error {
	name, err := s.Name()
	if err != nil {
		return err
	}
	if s.Clustered() {
		if err := durable.Write(s.clusteredMarker(), nil, fileMode); err != nil {
			return err
		}
	}
	var first peers
	switch {
	case s.Initialized():
	case known != nil:
		if first, err = s.announce(ctx, m, name, known); err != nil {
			return err
		}
	default:
		first = peers{cluster: name + "=" + s.peerURL(), state: "new"}
	}
	content, err := s.memberConfig(m, name, first)
	if err != nil {
		return err
	}
	configuration := filepath.Join(dataDir(s.settings), "config")
	if err := durable.Write(configuration, content, fileMode); err != nil {
		return err
	}
	if err := os.Chmod(dataDir(s.settings), folderMode); err != nil {
		return err
	}
	running := &member{}
	running.child, err = process.Start(process.Spec{
		Name:   "etcd",
		Path:   s.settings.Binary("etcd"),
		Args:   []string{"--config-file=" + configuration},
		Stage:  process.StageStore,
		OnExit: running.exited,
	})
	if err != nil {
		return err
	}
	s.member = running
	if err := s.awaitMember(ctx, m, known); err != nil {
		running.stop()
		return err
	}
	return s.correctPeerURL(ctx)
}

// RestartMember brings a running member to new certificates or CAs.
func (s *Store) RestartMember(ctx context.Context, m *material.Material, known Known) error {
	if err := s.Close(); err != nil {
		journal.Debugf("Closing the etcd client: %v", err)
	}
	s.client, s.member = nil, nil
	return s.StartMember(ctx, m, known)
}

// awaitMember waits until the member serves reads, which a learner does only after its promotion.
func (s *Store) awaitMember(ctx context.Context, m *material.Material, known Known) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	own := Access{[]string{s.ownURL()}, m.EtcdServerCA.Cert, m.EtcdClient.Cert, m.EtcdClient.Key}
	var last error
	for {
		if last = s.tryMember(ctx, own, m, known); last == nil {
			return nil
		}
		journal.Debugf("Waiting for etcd: %v", last)
		select {
		case <-s.member.child.Done():
			return fmt.Errorf("etcd exited: %w", s.member.child.Err())
		case <-ctx.Done():
			return fmt.Errorf("etcd did not become ready: %w", last)
		case <-time.After(pollInterval):
		}
	}
}

func (s *Store) tryMember(ctx context.Context, own Access, m *material.Material, known Known) error {
	if s.client == nil {
		// gRPC's own second try comes a second later; a member is often up sooner.
		probe, err := net.DialTimeout("tcp", net.JoinHostPort(loopback, s.ports.Client), time.Second)
		if err != nil {
			return err
		}
		_ = probe.Close()
		// The client outlives this attempt's deadline, so it gets the program's own context.
		client, err := Dial(shutdown.Context(), own)
		if err != nil {
			return err
		}
		s.client = client
	}
	attempt, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	status, err := s.client.Status(attempt, own.Endpoints[0])
	if err != nil {
		return err
	}
	if status.IsLearner {
		if err := promote(attempt, m, known, status.Header.MemberId); err != nil {
			return fmt.Errorf("this etcd member is still a learner: %w", err)
		}
		journal.Infof("Promoted learner to voting etcd member")
	}
	_, err = s.client.Get(attempt, bootstrapPrefix, clientv3.WithCountOnly())
	return err
}

// correctPeerURL tells the other members where this one is now: after a change of the node's address, or when a single
// server becomes the first of several.
func (s *Store) correctPeerURL(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	status, err := s.client.Status(ctx, s.ownURL())
	if err != nil {
		return err
	}
	members, err := s.client.MemberList(ctx)
	if err != nil {
		return err
	}
	wanted := s.peerURL()
	for _, other := range members.Members {
		if other.ID == status.Header.MemberId && (len(other.PeerURLs) != 1 || other.PeerURLs[0] != wanted) {
			_, err := s.client.MemberUpdate(ctx, other.ID, []string{wanted})
			return err
		}
	}
	return nil
}

// ClientURLs are those of all voting members, for servers that want to join.
func (s *Store) ClientURLs(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	members, err := s.client.MemberList(ctx)
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, other := range members.Members {
		if !other.IsLearner {
			urls = append(urls, other.ClientURLs...)
		}
	}
	return urls, nil
}

func (s *Store) clusteredMarker() string { return filepath.Join(dataDir(s.settings), "clustered") }

func (m *member) exited(err error) {
	if !m.stopping.Load() {
		shutdown.Request(fmt.Errorf("etcd exited: %w", err))
	}
}

func (m *member) stop() {
	m.stopping.Store(true)
	m.child.Stop(stopGrace)
}
