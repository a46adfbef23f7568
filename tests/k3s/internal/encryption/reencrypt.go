// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package encryption

import (
	"bytes"
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"

	"holdfast.internal/k3s/internal/journal"
)

const (
	// kube-apiserver looks at the file once a minute.
	reloadPatience = 5 * time.Minute
	reloadPoll     = time.Second
	pageSize       = 200
	reloadMetric   = "apiserver_encryption_config_controller_last_config_info"
)

// awaitReload waits until the apiserver uses exactly this configuration. Secrets that are written before would be
// encrypted with the old key, and be lost with it.
func (e *manager) awaitReload(ctx context.Context, ring keyring) error {
	content, err := ring.encode()
	if err != nil {
		return err
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reloadPatience)
	defer cancel()
	journal.Infof("Waiting for kube-apiserver to load the new encryption configuration")
	wanted := []byte(`hash="sha256:` + hashOf(content) + `"`)
	for {
		metrics, err := client.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
		if err == nil && reloaded(metrics, wanted) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kube-apiserver did not load the new encryption configuration: %w", ctx.Err())
		case <-time.After(reloadPoll):
		}
	}
}

func reloaded(metrics, wanted []byte) bool {
	for line := range bytes.Lines(metrics) {
		if bytes.HasPrefix(line, []byte(reloadMetric)) && bytes.Contains(line, wanted) {
			return true
		}
	}
	return false
}

// rewriteSecrets stores every Secret as it is: kube-apiserver writes it with the first key where it was read with
// another one. A Secret that changed or went meanwhile was written by somebody else, and with the first key too.
func (e *manager) rewriteSecrets(ctx context.Context) (count int, err error) {
	client, err := e.client()
	if err != nil {
		return 0, err
	}
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := client.Secrets(metav1.NamespaceAll).List(ctx, options)
		if err != nil {
			return count, err
		}
		for index := range page.Items {
			if err := rewrite(ctx, client, page.Items[index].Namespace, page.Items[index].Name); err != nil {
				return count, err
			}
			count++
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return count, nil
		}
	}
}

func rewrite(ctx context.Context, client typed.SecretsGetter, namespace, name string) error {
	secrets := client.Secrets(namespace)
	present, err := secrets.Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		_, err = secrets.Update(ctx, present, metav1.UpdateOptions{FieldManager: "k3s-supervisor"})
	}
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}
