// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package server

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"holdfast.internal/k3s/internal/components"
	"holdfast.internal/k3s/internal/deploy"
	"holdfast.internal/k3s/internal/encryption"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/notify"
)

const (
	readyInterval = 250 * time.Millisecond
	readyTimeout  = 5 * time.Second
	// patience is after how long a start that waits says so again.
	patience = 30 * time.Second
	// uninitialized marks a node that its cloud has not looked at; no pod could run there.
	uninitialized = "node.cloudprovider.kubernetes.io/uninitialized"
)

// afterAPI does what needs the API, in this order: say READY, start the other components, start the controllers.
func (r *running) afterAPI(ctx context.Context) error {
	s := r.settings
	core, err := typedcore.NewForConfig(r.admin)
	if err != nil {
		return err
	}
	if !waitForAPI(ctx, core.RESTClient()) {
		return nil
	}
	journal.Infof("Kube API server is now running")
	members, err := newEndpoints(r.admin, s)
	if err != nil {
		return err
	}
	if !joinService(ctx, members) {
		return nil
	}
	r.supervisor.SetReady()
	journal.Infof("k3s is up and running")
	if err := notify.Ready(); err != nil {
		journal.Warnf("failed to tell systemd that the server is ready: %v", err)
	}
	if !s.DisableControllerManager {
		if err := components.StartControllerManager(s, r.material); err != nil {
			return err
		}
	}
	go members.run(ctx)
	go r.supervisor.ShareServing(ctx)
	go func() {
		manifests := filepath.Join(s.ServerDir(), "manifests")
		if err := deploy.Watch(ctx, r.admin, manifests, s.Disable); err != nil && ctx.Err() == nil {
			journal.Errorf("Failed to process config: %v", err)
		}
	}()
	go newNodeKeeper(core, s, r.material).run(ctx)
	go encryption.Announce(ctx, s, r.material)
	go warnOfExpiry(ctx, core, s)
	if s.DisableScheduler || !waitForNode(ctx, core) {
		return nil
	}
	return components.StartScheduler(s, r.material)
}

// waitForAPI returns true when kube-apiserver says that it is ready and its first namespaces are there, false when the
// context ended before.
func waitForAPI(ctx context.Context, client rest.Interface) bool {
	journal.Infof("Waiting for API server to become available")
	said := time.Now()
	for {
		answer := client.Get().AbsPath("/readyz").Timeout(readyTimeout).Do(ctx)
		err := answer.Error()
		if err == nil {
			path := "/api/v1/namespaces/" + metav1.NamespaceSystem
			err = client.Get().AbsPath(path).Timeout(readyTimeout).Do(ctx).Error()
		}
		if err == nil {
			return true
		}
		if time.Since(said) > patience {
			journal.Infof("Waiting for API server to become available: %v", err)
			said = time.Now()
		}
		if !sleep(ctx, readyInterval) {
			return false
		}
	}
}

// joinService makes this server part of the "kubernetes" Service before it calls itself ready.
func joinService(ctx context.Context, members *endpoints) bool {
	for {
		err := members.reconcile(ctx)
		if err == nil {
			return true
		}
		if !sleep(ctx, readyInterval) {
			return false
		}
		journal.Debugf("endpoints of the kubernetes Service: %v", err)
	}
}

// waitForNode holds the scheduler back until there is a node that takes pods, as k3s does.
func waitForNode(ctx context.Context, core typedcore.CoreV1Interface) bool {
	for waiting := false; ; {
		nodes, err := core.Nodes().List(ctx, metav1.ListOptions{})
		if err == nil && slices.ContainsFunc(nodes.Items, takesPods) {
			return true
		}
		if !waiting {
			journal.Infof("Waiting for untainted node")
			waiting = true
		}
		if !sleep(ctx, time.Second) {
			return false
		}
	}
}

func takesPods(node corev1.Node) bool {
	return !slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool { return taint.Key == uninitialized })
}

// sleep returns false when the context ended first.
func sleep(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}
