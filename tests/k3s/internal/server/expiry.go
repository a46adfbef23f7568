// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package server

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"

	"holdfast.internal/k3s/internal/certificates"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/settings"
)

const (
	expiryInterval = 24 * time.Hour
	expiryReason   = "CertificateExpirationWarning"
)

// warnOfExpiry puts an event on the own Node when certificates come near their end: a restart would renew them.
func warnOfExpiry(ctx context.Context, core typedcore.CoreV1Interface, s *settings.Settings) {
	wait := time.Minute
	for sleep(ctx, wait) {
		wait = expiryInterval
		expiring := expiringCertificates(
			filepath.Join(s.TLSDir(), "*.crt"), filepath.Join(s.TLSDir(), "*", "*.crt"), filepath.Join(s.AgentDir(), "*.crt"))
		if len(expiring) == 0 {
			continue
		}
		message := "Node certificates require attention - restart k3s on this node to trigger automatic rotation: " +
			strings.Join(expiring, ", ")
		journal.Warnf("%s", message)
		if err := nodeEvent(ctx, core, s.NodeName, message); err != nil && ctx.Err() == nil {
			journal.Warnf("failed to write an event of node %s: %v", s.NodeName, err)
			wait = time.Minute
		}
	}
}

// expiringCertificates lists leaves that a start would renew.
func expiringCertificates(patterns ...string) []string {
	var expiring []string
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			base := filepath.Base(path)
			if strings.HasSuffix(base, "-ca.crt") || strings.HasSuffix(base, "-ca.nochain.crt") {
				continue
			}
			chain, err := certificates.LoadChain(path)
			if err == nil && certificates.NeedsRenewal(chain[0]) {
				expiring = append(expiring, fmt.Sprintf("%s: certificate %s will expire within 120 days at %s",
					base, chain[0].Subject, chain[0].NotAfter.Format(time.RFC3339)))
			}
		}
	}
	return expiring
}

func nodeEvent(ctx context.Context, core typedcore.CoreV1Interface, name, message string) error {
	node, err := core.Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	now := metav1.Now()
	_, err = core.Events(metav1.NamespaceDefault).Create(ctx, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: name + ".", Namespace: metav1.NamespaceDefault},
		InvolvedObject: corev1.ObjectReference{Kind: "Node", APIVersion: "v1", Name: name, UID: node.UID},
		Type:           corev1.EventTypeWarning, Reason: expiryReason, Message: message, Count: 1,
		FirstTimestamp: now, LastTimestamp: now, Source: corev1.EventSource{Component: "k3s-cert-monitor", Host: name},
	}, metav1.CreateOptions{})
	return err
}
