// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package supervisor

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"holdfast.internal/k3s/internal/journal"
)

// ShareServing lets all servers show one certificate on 6443: it takes the one in the secret if that is good for this
// server too, and otherwise puts one there that is good for all that were named so far.
func (s *Supervisor) ShareServing(ctx context.Context) {
	for {
		err := s.shareServing(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			journal.Warnf("secret %s could not be kept in step with the listener's certificate: %v", servingSecret, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(2 * time.Second):
		}
	}
}

func (s *Supervisor) shareServing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	secrets := s.cluster.core.Secrets(metav1.NamespaceSystem)
	found, err := secrets.Get(ctx, servingSecret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = secrets.Create(ctx, s.servingSecret(), metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	if s.serving.adopt(found.Data) {
		return s.serving.save()
	}
	if err := s.serving.renew(s.serving.namesIn(found.Data)); err != nil {
		return err
	}
	wanted := s.servingSecret()
	wanted.ResourceVersion = found.ResourceVersion
	_, err = secrets.Update(ctx, wanted, metav1.UpdateOptions{})
	return err
}

func (s *Supervisor) servingSecret() *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: servingSecret, Namespace: metav1.NamespaceSystem, Annotations: s.serving.annotations(),
		},
		Type: corev1.SecretTypeTLS,
		Data: s.serving.content,
	}
}
