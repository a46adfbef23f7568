// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package datastore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
)

const (
	bootstrapPrefix = "/bootstrap"
	// joinPatience bounds the wait for our turn: etcd takes one learner at a time.
	joinPatience = 5 * time.Minute
	joinRetry    = 2 * time.Second
)

// announce adds this member to a running cluster as a learner, unless an attempt that was cut off has done so before.
func (s *Store) announce(ctx context.Context, m *material.Material, name string, known Known) (peers, error) {
	ctx, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	client, err := dialOthers(ctx, m, known)
	if err != nil {
		return peers{}, err
	}
	defer client.Close()
	ours := s.peerURL()
	for {
		members, err := addLearner(ctx, client, s.settings.NodeName, ours)
		if err == nil {
			return peers{cluster: initialCluster(members, name, ours), state: "existing"}, nil
		}
		var duplicate duplicateError
		if errors.As(err, &duplicate) {
			return peers{}, err
		}
		journal.Infof("Failed to add this server to the etcd cluster: %v, retrying", err)
		select {
		case <-ctx.Done():
			return peers{}, fmt.Errorf("etcd cluster join failed: %w", err)
		case <-time.After(joinRetry):
		}
	}
}

// duplicateError is a node of our name that is not us: its data are elsewhere or were deleted.
type duplicateError struct{ name string }

func (e duplicateError) Error() string {
	return fmt.Sprintf("etcd cluster join failed: duplicate node name found, please use a unique name for this node: "+
		"member %s is in the etcd cluster already and its data are not on this host", e.name)
}

func addLearner(ctx context.Context, client *clientv3.Client, node, ours string) ([]*etcdserverpb.Member, error) {
	attempt, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	present, err := client.MemberList(attempt)
	if err != nil {
		return nil, err
	}
	for _, other := range present.Members {
		isOurs := slices.Contains(other.PeerURLs, ours)
		// A member that never started has no name yet.
		if isOurs && other.Name == "" {
			return present.Members, nil
		}
		if isOurs || nodeOf(other.Name) == node {
			return nil, duplicateError{other.Name}
		}
	}
	added, err := client.MemberAddAsLearner(attempt, []string{ours})
	if err != nil {
		return nil, err
	}
	return added.Members, nil
}

// nodeOf takes the random end off a member's name.
func nodeOf(name string) string {
	if index := strings.LastIndex(name, "-"); index > 0 {
		return name[:index]
	}
	return name
}

func initialCluster(members []*etcdserverpb.Member, name, ours string) string {
	var parts []string
	for _, other := range members {
		for _, address := range other.PeerURLs {
			if address == ours {
				parts = append(parts, name+"="+ours)
			} else {
				parts = append(parts, other.Name+"="+address)
			}
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// promote makes a learner a voter, by way of the other members: a learner refuses such calls.
func promote(ctx context.Context, m *material.Material, known Known, id uint64) error {
	if known == nil {
		return errors.New("no other member is known; start with the server option so that this one can be promoted")
	}
	client, err := dialOthers(ctx, m, known)
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = client.MemberPromote(ctx, id)
	return err
}

func dialOthers(ctx context.Context, m *material.Material, known Known) (*clientv3.Client, error) {
	urls, err := known(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to get the etcd members: %w", err)
	}
	return Dial(ctx, Access{urls, m.EtcdServerCA.Cert, m.EtcdClient.Cert, m.EtcdClient.Key})
}
