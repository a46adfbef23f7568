// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"holdfast.internal/k3s/internal/journal"
)

const (
	nodeInterval = 250 * time.Millisecond
	// sayInterval is how often a wait says in the journal that it still waits.
	sayInterval = 15 * time.Second
)

// waitFor asks for this Node until it is as wanted.
func (n *node) waitFor(ctx context.Context, what string, wanted func(*corev1.Node) bool) error {
	said := time.Now()
	for {
		call, cancel := context.WithTimeout(ctx, requestTimeout)
		found, err := n.core.Nodes().Get(call, n.settings.NodeName, metav1.GetOptions{})
		cancel()
		if err == nil && wanted(found) {
			return nil
		}
		if time.Since(said) > sayInterval {
			journal.Infof("Waiting for node %s %s: %v", n.settings.NodeName, what, err)
			said = time.Now()
		}
		if !pause(ctx, nodeInterval) {
			return ctx.Err()
		}
	}
}

func (n *node) waitForNode(ctx context.Context) error {
	return n.waitFor(ctx, "to be registered", func(*corev1.Node) bool { return true })
}

func (n *node) waitForSubnet(ctx context.Context) error {
	return n.waitFor(ctx, "CIDR assignment to be available", func(found *corev1.Node) bool { return found.Spec.PodCIDR != "" })
}

// describe merges labels and annotations into the Node. What an earlier start set stays: nothing is removed.
func (n *node) describe(ctx context.Context) error {
	labels, annotations, err := n.metadata()
	if err != nil {
		return err
	}
	for {
		changed, err := n.patch(ctx, labels, annotations)
		switch {
		case err == nil && changed:
			journal.Infof("Annotations and labels have been set successfully on node: %s", n.settings.NodeName)
			return nil
		case err == nil:
			journal.Infof("Annotations and labels have already set on node: %s", n.settings.NodeName)
			return nil
		}
		journal.Infof("Failed to set annotations and labels on node %s: %v", n.settings.NodeName, err)
		if !pause(ctx, time.Second) {
			return ctx.Err()
		}
	}
}

func (n *node) patch(ctx context.Context, labels, annotations map[string]string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	found, err := n.core.Nodes().Get(ctx, n.settings.NodeName, metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	if contains(found.Labels, labels) && contains(found.Annotations, annotations) {
		return false, nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels, "annotations": annotations}})
	if err != nil {
		return false, err
	}
	_, err = n.core.Nodes().Patch(ctx, n.settings.NodeName, types.MergePatchType, patch, metav1.PatchOptions{})
	return true, err
}

func contains(all, some map[string]string) bool {
	for name, value := range some {
		if got, found := all[name]; !found || got != value {
			return false
		}
	}
	return true
}

// metadata is what this program knows of its node. The instance type is what k3s' own cloud provider would say.
func (n *node) metadata() (labels, annotations map[string]string, err error) {
	s := n.settings
	labels = map[string]string{
		"node.kubernetes.io/instance-type": "k3s", "beta.kubernetes.io/instance-type": "k3s",
	}
	for _, pair := range s.NodeLabels {
		name, value, found := strings.Cut(pair, "=")
		if !found {
			return nil, nil, fmt.Errorf("invalid node label %q: it must be key=value", pair)
		}
		labels[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	annotations = map[string]string{
		"k3s.io/hostname":    s.NodeName,
		"k3s.io/internal-ip": joinIPs(s.NodeIPs),
	}
	if len(s.NodeExternalIPs) > 0 {
		annotations["k3s.io/external-ip"] = joinIPs(s.NodeExternalIPs)
	}
	if len(s.NodeInternalDNS) > 0 {
		annotations["k3s.io/internal-dns"] = strings.Join(s.NodeInternalDNS, ",")
	}
	if len(s.NodeExternalDNS) > 0 {
		annotations["k3s.io/external-dns"] = strings.Join(s.NodeExternalDNS, ",")
	}
	started, err := s.NodeAnnotations(os.Environ())
	maps.Copy(annotations, started)
	return labels, annotations, err
}
