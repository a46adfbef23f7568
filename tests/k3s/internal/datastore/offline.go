// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package datastore

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"holdfast.internal/k3s/internal/process"
)

// offlinePatience bounds the start of an etcd on copied data.
const offlinePatience = time.Minute

// ReadOffline reads entries from a copy of this member's data, with an etcd of its own that nobody else speaks to. The
// data themselves are not touched.
func (s *Store) ReadOffline(ctx context.Context, prefix string) ([]Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, offlinePatience)
	defer cancel()
	folder := dataDir(s.settings) + "-tmp"
	// What a start that was cut off left behind is as old as the copy it made.
	if err := os.RemoveAll(folder); err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return nil, err
	}
	if err := os.CopyFS(filepath.Join(folder, "member"), os.DirFS(filepath.Join(dataDir(s.settings), "member"))); err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	client, peer := "http://"+ports[0], "http://"+ports[1]
	name, err := s.Name()
	if err != nil {
		return nil, err
	}
	running := &member{}
	running.child, err = process.Start(process.Spec{
		Name: "etcd",
		Path: s.settings.Binary("etcd"),
		Args: []string{
			"--name=" + name, "--data-dir=" + folder, "--force-new-cluster", "--logger=zap", "--log-level=error",
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client, "--listen-peer-urls=" + peer,
		},
		Stage:  process.StageStore,
		OnExit: func(error) {},
	})
	if err != nil {
		return nil, err
	}
	defer running.stop()
	for {
		entries, err := readOnce(ctx, client, prefix)
		if err == nil {
			return entries, nil
		}
		select {
		case <-running.child.Done():
			return nil, fmt.Errorf("etcd exited: %w", running.child.Err())
		case <-ctx.Done():
			return nil, err
		case <-time.After(pollInterval):
		}
	}
}

func readOnce(ctx context.Context, endpoint, prefix string) ([]Entry, error) {
	client, err := Dial(ctx, Access{Endpoints: []string{endpoint}})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	attempt, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	return list(attempt, client, prefix)
}

// freePorts finds loopback addresses that nobody listens on.
func freePorts(count int) ([]string, error) {
	var addresses []string
	for range count {
		listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		port := listener.Addr().(*net.TCPAddr).Port
		addresses = append(addresses, net.JoinHostPort(loopback, strconv.Itoa(port)))
	}
	return addresses, nil
}
