// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package server

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/supervisor"
)

const (
	roleLabel    = "node-role.kubernetes.io/"
	dnsConfig    = "coredns"
	nodeHostsKey = "NodeHosts"
	// orphanAge is how long a password outlives a node that was deleted while no server looked.
	orphanAge     = 10 * time.Minute
	retryInterval = 2 * time.Second
)

// nodeKeeper follows the Nodes: it labels this server's own, tells CoreDNS their addresses, and drops the passwords of
// those that are gone. Every server does so; all of them want the same, so none of them needs to lead.
type nodeKeeper struct {
	core     typedcore.CoreV1Interface
	name     string
	labels   []string
	dns      bool
	store    cache.Store
	informer cache.Controller
	changed  chan struct{}
	deleted  chan string
}

func newNodeKeeper(core typedcore.CoreV1Interface, s *settings.Settings, m *material.Material) *nodeKeeper {
	k := &nodeKeeper{
		core: core, name: s.NodeName, labels: []string{roleLabel + "control-plane"}, dns: !s.Disabled("coredns"),
		changed: make(chan struct{}, 1), deleted: make(chan string, 1000),
	}
	if m.Etcd.Embedded {
		k.labels = append(k.labels, roleLabel+"etcd")
	}
	changed := func(any) {
		select {
		case k.changed <- struct{}{}:
		default:
		}
	}
	k.store, k.informer = cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				return core.Nodes().List(ctx, options)
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				return core.Nodes().Watch(ctx, options)
			},
		},
		ObjectType: &corev1.Node{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    changed,
			UpdateFunc: func(_, after any) { changed(after) },
			DeleteFunc: func(object any) {
				if name, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
					k.deleted <- name
				}
				changed(object)
			},
		},
		Transform: slim,
	})
	return k
}

// slim keeps of each Node only what is looked at here: images and conditions are most of its size.
func slim(object any) (any, error) {
	if node, ok := object.(*corev1.Node); ok {
		node.ManagedFields, node.Status.Images, node.Status.Conditions = nil, nil, nil
	}
	return object, nil
}

func (k *nodeKeeper) run(ctx context.Context) {
	go k.informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), k.informer.HasSynced) {
		return
	}
	orphans := time.NewTicker(orphanAge)
	defer orphans.Stop()
	var retry <-chan time.Time
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case name := <-k.deleted:
			err = k.dropPassword(ctx, name)
		case <-orphans.C:
			err = k.dropOrphans(ctx)
		case <-retry:
			retry = nil
			err = k.sync(ctx)
		case <-k.changed:
			err = k.sync(ctx)
		}
		if err != nil && ctx.Err() == nil {
			journal.Debugf("nodes: %v", err)
			retry = time.After(retryInterval)
		}
	}
}

func (k *nodeKeeper) nodes() []*corev1.Node {
	var nodes []*corev1.Node
	for _, object := range k.store.List() {
		if node, ok := object.(*corev1.Node); ok {
			nodes = append(nodes, node)
		}
	}
	slices.SortFunc(nodes, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes
}

func (k *nodeKeeper) sync(ctx context.Context) error {
	nodes := k.nodes()
	for _, node := range nodes {
		if node.Name == k.name {
			if err := k.label(ctx, node); err != nil {
				return err
			}
		}
	}
	if !k.dns {
		return nil
	}
	return k.writeNodeHosts(ctx, nodeHosts(nodes))
}

// label says that this node is a server.
func (k *nodeKeeper) label(ctx context.Context, node *corev1.Node) error {
	missing := map[string]string{}
	for _, label := range k.labels {
		if node.Labels[label] != "true" {
			missing[label] = "true"
		}
	}
	if len(missing) == 0 {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": missing}})
	if err != nil {
		return err
	}
	_, err = k.core.Nodes().Patch(ctx, node.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err == nil {
		journal.Infof("Labels and annotations have been set successfully on node: %s", node.Name)
	}
	return err
}

// nodeHosts is a hosts file of all nodes.
func nodeHosts(nodes []*corev1.Node) string {
	var lines strings.Builder
	for _, node := range nodes {
		names := node.Name
		var addresses []string
		for _, address := range node.Status.Addresses {
			switch address.Type {
			case corev1.NodeInternalIP:
				addresses = append(addresses, address.Address)
			case corev1.NodeInternalDNS, corev1.NodeHostName:
				if address.Address != node.Name && !strings.Contains(names, address.Address) {
					names += " " + address.Address
				}
			}
		}
		for _, address := range addresses {
			fmt.Fprintf(&lines, "%s %s\n", address, names)
		}
	}
	return lines.String()
}

// writeNodeHosts puts the file where CoreDNS reads it. The ConfigMap itself comes from the packaged manifest, so it may
// not be there yet.
func (k *nodeKeeper) writeNodeHosts(ctx context.Context, hosts string) error {
	maps := k.core.ConfigMaps(metav1.NamespaceSystem)
	found, err := maps.Get(ctx, dnsConfig, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if before, present := found.Data[nodeHostsKey]; present && before == hosts {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"data": map[string]string{nodeHostsKey: hosts}})
	if err != nil {
		return err
	}
	if _, err = maps.Patch(ctx, dnsConfig, types.MergePatchType, patch, metav1.PatchOptions{}); err == nil {
		journal.Infof("Updated coredns NodeHosts entries: %d", strings.Count(hosts, "\n"))
	}
	return err
}

// dropPassword lets a host of that name join anew.
func (k *nodeKeeper) dropPassword(ctx context.Context, node string) error {
	if _, exists, _ := k.store.GetByKey(node); exists {
		return nil
	}
	secret := node + supervisor.PasswordSuffix
	err := k.core.Secrets(metav1.NamespaceSystem).Delete(ctx, secret, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil {
		journal.Infof("Deleted the password of the deleted node %s", node)
	}
	return err
}

// dropOrphans finds passwords whose node went while no server was looking.
func (k *nodeKeeper) dropOrphans(ctx context.Context) error {
	secrets, err := k.core.Secrets(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, secret := range secrets.Items {
		node, found := strings.CutSuffix(secret.Name, supervisor.PasswordSuffix)
		if !found || time.Since(secret.CreationTimestamp.Time) < orphanAge {
			continue
		}
		if err := k.dropPassword(ctx, node); err != nil {
			return err
		}
	}
	return nil
}
