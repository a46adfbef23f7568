// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package bootstrap

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"holdfast.internal/k3s/internal/datastore"
	"holdfast.internal/k3s/internal/etcdtest"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/settings"
)

// victimVariable makes a process of this test program do one start, and nothing else.
const victimVariable = "HOLDFAST_BOOTSTRAP_VICTIM"

func TestMain(m *testing.M) {
	if facts := os.Getenv(victimVariable); facts != "" {
		if err := victim(facts); err != nil {
			journal.Fatal(err)
		}
		return
	}
	os.Exit(m.Run())
}

// victim prepares a server whose settings are JSON.
func victim(facts string) error {
	var s settings.Settings
	if err := json.Unmarshal([]byte(facts), &s); err != nil {
		return err
	}
	store, err := datastore.Open(context.Background(), &s)
	if err != nil {
		return err
	}
	_, err = Prepare(context.Background(), &s, store)
	return err
}

// killed does one start in a process of its own and ends that after a while; it tells whether the start was done before.
func killed(t *testing.T, s *settings.Settings, after time.Duration) bool {
	t.Helper()
	facts, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), victimVariable+"="+string(facts))
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = command.Process.Kill() })
	defer timer.Stop()
	return command.Wait() == nil
}

func TestKillAtAnyMomentLeavesAStateThatTheNextStartTakes(t *testing.T) {
	etcd := etcdtest.Start(t)
	recorded(t)
	s := server(t, "one", "secret", etcd)
	s.SecretsEncryption = true
	watcher, err := datastore.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	cut, done := 0, 0
	for step := 1; done < 3; step++ {
		dropLock(t, watcher)
		if killed(t, s, time.Duration(step)*7*time.Millisecond) {
			done++
		} else {
			cut++
		}
	}
	const enough = 5
	if cut < enough {
		t.Fatalf("only %d starts were cut off", cut)
	}
	t.Logf("%d starts were cut off, %d were done before", cut, done)
	m, _ := mustBegin(t, s)
	other := server(t, "two", "secret", etcd)
	other.SecretsEncryption = true
	theirs, _ := mustBegin(t, other)
	sameSecrets(t, m, theirs)
}

// dropLock takes away what a killed start left in the datastore, as another server would after five seconds.
func dropLock(t *testing.T, store *datastore.Store) {
	t.Helper()
	entries, err := store.List(t.Context(), keyPrefix)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if len(entry.Value) == 0 {
			if err := store.Delete(t.Context(), entry); err != nil {
				t.Fatal(err)
			}
		}
	}
}
