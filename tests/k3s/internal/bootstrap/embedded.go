// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package bootstrap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"holdfast.internal/k3s/internal/certificates"
	"holdfast.internal/k3s/internal/datastore"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/token"
	"holdfast.internal/k3s/internal/wire"
)

// PathDatabaseInfo is where a joining server asks for the etcd members; the path is k3s'.
const PathDatabaseInfo = "/db/info"

// databaseInfo is the answer of PathDatabaseInfo.
type databaseInfo struct {
	ClientURLs []string `json:"clientURLs"`
}

// shareEmbedded starts or joins etcd, for which its CAs must be on disk first, and then goes on as with any other etcd.
func (p *preparation) shareEmbedded(ctx context.Context) error {
	if err := p.fetchBefore(ctx); err != nil {
		return err
	}
	if err := certificates.EnsureAuthorities(p.material); err != nil {
		return err
	}
	if err := p.startEtcd(ctx); err != nil {
		return err
	}
	if err := p.share(ctx); err != nil {
		return err
	}
	// The datastore may have had newer CAs than the disk that etcd was just started from.
	renewed, err := certificates.EnsureEtcdLeaves(p.settings, p.material)
	if err != nil || !renewed {
		return err
	}
	journal.Infof("etcd's certificates were renewed, restarting it")
	return p.store.RestartMember(ctx, p.material, p.others())
}

func (p *preparation) startEtcd(ctx context.Context) error {
	if _, err := certificates.EnsureEtcdLeaves(p.settings, p.material); err != nil {
		return err
	}
	return p.store.StartMember(ctx, p.material, p.others())
}

// fetchBefore gets the shared files from where they are while this server's own etcd does not run: from the server to
// join, or from the data of an earlier time if the files were removed from disk.
func (p *preparation) fetchBefore(ctx context.Context) error {
	switch {
	case p.store.Initialized() && !complete(p.material):
		return p.restoreOffline(ctx)
	case p.store.Initialized():
		return nil
	case p.settings.ServerURL != "":
		return p.join(ctx)
	}
	return nil
}

// restoreOffline reads the bootstrap data out of a copy of this member's own data.
func (p *preparation) restoreOffline(ctx context.Context) error {
	journal.Infof("Files of the bootstrap data are missing, reading them from a copy of the etcd data")
	entries, err := p.store.ReadOffline(ctx, keyPrefix)
	if err != nil {
		return fmt.Errorf("failed to read bootstrap data from a copy of the etcd data: %w", err)
	}
	entry := p.own(entries)
	switch {
	case len(entries) == 0, entry != nil && len(entry.Value) == 0:
		// The power went between etcd's first start and the save: nothing was shared with anyone yet.
		return nil
	case entry == nil:
		return p.refuseToken()
	}
	return p.apply(*entry)
}

// join checks the cluster's CA and settings and takes over its secrets.
func (p *preparation) join(ctx context.Context) error {
	if p.settings.Token == "" {
		return errors.New("token is required to join a cluster")
	}
	if err := p.connect(ctx); err != nil {
		return err
	}
	content, err := p.remote.Get(ctx, wire.PathServerBootstrap)
	if err != nil {
		return fmt.Errorf("failed to get bootstrap data from %s: %w", p.settings.ServerURL, err)
	}
	shared, err := decode(content)
	if err != nil {
		return err
	}
	if err := p.compareSettings(ctx); err != nil {
		return fmt.Errorf("failed to validate server configuration: %w", err)
	}
	_, err = shared.reconcile(p.material)
	return err
}

func (p *preparation) connect(ctx context.Context) error {
	remote, err := token.Connect(ctx, p.settings.ServerURL, p.settings.Token)
	if err == nil {
		p.remote = remote
	}
	return err
}

// others gives the way to ask for the other etcd members, if there are any to ask.
func (p *preparation) others() datastore.Known {
	if p.settings.ServerURL == "" {
		return nil
	}
	return func(ctx context.Context) ([]string, error) {
		if p.remote == nil {
			if err := p.connect(ctx); err != nil {
				return nil, err
			}
		}
		content, err := p.remote.Get(ctx, PathDatabaseInfo)
		if err != nil {
			return nil, err
		}
		var information databaseInfo
		err = json.Unmarshal(content, &information)
		return information.ClientURLs, err
	}
}
