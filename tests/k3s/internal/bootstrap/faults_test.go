// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package bootstrap

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"holdfast.internal/k3s/internal/datastore"
	"holdfast.internal/k3s/internal/etcdtest"
	"holdfast.internal/k3s/internal/settings"
)

func TestMissingFilesAreFatalByName(t *testing.T) {
	etcd := etcdtest.Start(t)
	for _, choose := range []func(*settings.Datastore) *string{
		func(d *settings.Datastore) *string { return &d.CAFile },
		func(d *settings.Datastore) *string { return &d.CertFile },
		func(d *settings.Datastore) *string { return &d.KeyFile },
	} {
		s := server(t, "one", "secret", etcd)
		*choose(&s.Datastore) = "/nonexistent/file"
		_, _, err := begin(t, s)
		if err == nil || !strings.Contains(err.Error(), "open /nonexistent/file: no such file or directory") {
			t.Errorf("%v", err)
		}
	}
}

func TestUnreachableDatastoreEndsTheStartInSeconds(t *testing.T) {
	etcd := etcdtest.Start(t)
	etcd.Stop()
	begun := time.Now()
	_, _, err := begin(t, server(t, "one", "secret", etcd))
	if spent := time.Since(begun); err == nil || spent > 10*time.Second || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%v after %v", err, spent)
	}
}

func TestExpiredClientCertificateIsNamedAsTheReason(t *testing.T) {
	etcd := etcdtest.Start(t)
	etcd.ExpireClient()
	begun := time.Now()
	_, _, err := begin(t, server(t, "one", "secret", etcd))
	if spent := time.Since(begun); err == nil || spent > 20*time.Second || !strings.Contains(err.Error(), etcd.Client.Cert+" has expired") {
		t.Errorf("%v after %v", err, spent)
	}
}

func TestNewClientCertificateIsTakenUpWithoutARestart(t *testing.T) {
	etcd := etcdtest.Start(t)
	s := server(t, "one", "secret", etcd)
	_, store := mustBegin(t, s)
	if err := os.Remove(etcd.Client.Cert); err != nil {
		t.Fatal(err)
	}
	etcd.Stop()
	etcd.Run()
	if _, err := store.List(t.Context(), keyPrefix); err == nil {
		t.Fatal("the connection did without its certificate file")
	}
	etcd.RenewClient()
	deadline := time.Now().Add(30 * time.Second)
	for {
		entries, err := store.List(t.Context(), keyPrefix)
		if err == nil && len(entries) == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v, %v", entries, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func TestHungDatastoreEndsTheStart(t *testing.T) {
	etcd := etcdtest.Start(t)
	s := server(t, "one", "secret", etcd)
	mustBegin(t, s)
	etcd.Pause(true)
	defer etcd.Pause(false)
	begun := time.Now()
	_, _, err := begin(t, s)
	if spent := time.Since(begun); err == nil || spent > 20*time.Second {
		t.Errorf("%v after %v", err, spent)
	}
}

func TestBootstrapTokenIsNoServerToken(t *testing.T) {
	etcd := etcdtest.Start(t)
	_, _, err := begin(t, server(t, "one", "abcdef.0123456789abcdef", etcd))
	if err == nil || !strings.HasPrefix(err.Error(), "failed to normalize server token; must be in format") {
		t.Errorf("%v", err)
	}
}

func TestCancelledStartReturns(t *testing.T) {
	etcd := etcdtest.Start(t)
	s := server(t, "one", "secret", etcd)
	store, err := datastore.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Create(t.Context(), storageKey("secret"), nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := Prepare(ctx, s, store); err == nil {
		t.Error("a start went on after its end was asked for")
	}
}
