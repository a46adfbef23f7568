// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package datastore speaks to the cluster's etcd: one that others run, or one that runs as a child of this server.
package datastore

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"holdfast.internal/k3s/internal/settings"
)

// operationTimeout bounds one read or write, so that an etcd without a majority stops a start instead of hanging it.
const operationTimeout = 10 * time.Second

// ErrConflict says that somebody else wrote or removed the entry first.
var ErrConflict = errors.New("the datastore's entry was changed by another server")

// Entry is one key with its value, as it was at a revision.
type Entry struct {
	Key      string
	Value    []byte
	Revision int64
}

// Store is the cluster's etcd.
type Store struct {
	settings *settings.Settings
	client   *clientv3.Client
	member   *member
	ports    Ports
}

// Open connects to an external etcd. An embedded one is only remembered here: it needs certificates before it can
// start, see StartMember.
func Open(ctx context.Context, s *settings.Settings) (*Store, error) {
	return OpenAt(ctx, s, defaultPorts)
}

// OpenAt is Open for an embedded etcd at other ports.
func OpenAt(ctx context.Context, s *settings.Settings, ports Ports) (*Store, error) {
	store := &Store{settings: s, ports: ports}
	if !s.Datastore.External() {
		return store, nil
	}
	client, err := Dial(ctx, Access{
		Endpoints: s.Datastore.Endpoints,
		CAFile:    s.Datastore.CAFile,
		CertFile:  s.Datastore.CertFile,
		KeyFile:   s.Datastore.KeyFile,
	})
	if err != nil {
		return nil, err
	}
	store.client = client
	return store, nil
}

// Embedded tells whether the store is a child of this server.
func (s *Store) Embedded() bool { return !s.settings.Datastore.External() }

// Client is the connection to etcd; nil before an embedded one has started.
func (s *Store) Client() *clientv3.Client { return s.client }

// Close ends the connection, and an embedded member with it.
func (s *Store) Close() error {
	var err error
	if s.client != nil {
		err = s.client.Close()
	}
	if s.member != nil {
		s.member.stop()
	}
	return err
}

// List gives all entries below a prefix.
func (s *Store) List(ctx context.Context, prefix string) ([]Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	return list(ctx, s.client, prefix)
}

func list(ctx context.Context, client *clientv3.Client, prefix string) ([]Entry, error) {
	response, err := client.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(response.Kvs))
	for _, pair := range response.Kvs {
		entries = append(entries, Entry{Key: string(pair.Key), Value: pair.Value, Revision: pair.ModRevision})
	}
	return entries, nil
}

// Create writes an entry that must not be there yet.
func (s *Store) Create(ctx context.Context, key string, value []byte) (Entry, error) {
	return s.write(ctx, Entry{Key: key}, key, value)
}

// Update writes an entry that must be as it was read.
func (s *Store) Update(ctx context.Context, entry Entry, value []byte) (Entry, error) {
	return s.write(ctx, entry, entry.Key, value)
}

// Move writes a value under a new key and removes the old entry, both or none.
func (s *Store) Move(ctx context.Context, entry Entry, key string, value []byte) (Entry, error) {
	return s.write(ctx, entry, key, value, clientv3.OpDelete(entry.Key))
}

// Delete removes an entry that must be as it was read.
func (s *Store) Delete(ctx context.Context, entry Entry) error {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	response, err := s.client.Txn(ctx).If(unchanged(entry)).Then(clientv3.OpDelete(entry.Key)).Commit()
	if err == nil && !response.Succeeded {
		err = ErrConflict
	}
	return err
}

func (s *Store) write(ctx context.Context, before Entry, key string, value []byte, more ...clientv3.Op) (Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	conditions := []clientv3.Cmp{unchanged(before)}
	if key != before.Key {
		conditions = append(conditions, unchanged(Entry{Key: key}))
	}
	operations := append([]clientv3.Op{clientv3.OpPut(key, string(value))}, more...)
	response, err := s.client.Txn(ctx).If(conditions...).Then(operations...).Commit()
	if err != nil {
		return Entry{}, err
	}
	if !response.Succeeded {
		return Entry{}, ErrConflict
	}
	return Entry{Key: key, Value: value, Revision: response.Header.Revision}, nil
}

// unchanged holds while the entry has the revision at which it was read; a revision of 0 means that it is not there.
func unchanged(entry Entry) clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(entry.Key), "=", entry.Revision)
}
