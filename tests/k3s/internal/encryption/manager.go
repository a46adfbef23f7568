// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package encryption

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
)

// Replace writes shared files, by their paths, to the datastore and then to this server's disk.
type Replace func(ctx context.Context, contents map[string][]byte) error

// manager changes the keys of a running cluster, by way of this server's own kube-apiserver.
type manager struct {
	settings *settings.Settings
	material *material.Material
	replace  Replace
	// busy is held for as long as a change lasts: two at once would take each other's keys away.
	busy sync.Mutex
}

var errNoConfiguration = errors.New("secrets encryption is not configured on this cluster: no encryption configuration file found; " +
	"it must be enabled with secrets-encryption at the first start of the cluster")

// current reads the configuration and the stage from this server's disk.
func (e *manager) current() (keyring, string, error) {
	content, err := os.ReadFile(e.material.EncryptionConfig)
	if errors.Is(err, os.ErrNotExist) || (err == nil && !e.settings.SecretsEncryption) {
		return keyring{}, "", errNoConfiguration
	}
	if err != nil {
		return keyring{}, "", err
	}
	ring, err := decode(content)
	if err != nil {
		return keyring{}, "", fmt.Errorf("%s: %w", e.material.EncryptionConfig, err)
	}
	state, err := State(e.material)
	return ring, stageOf(state), err
}

// write saves a configuration and its stage on all servers' behalf and tells the other servers by this one's Node.
func (e *manager) write(ctx context.Context, ring keyring, stage string) error {
	content, err := ring.encode()
	if err != nil {
		return err
	}
	state := stateOf(stage, content)
	err = e.replace(ctx, map[string][]byte{
		e.material.EncryptionConfig: content,
		e.material.EncryptionState:  []byte(state),
	})
	if err != nil {
		return err
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	return annotate(ctx, client.Nodes(), e.settings.NodeName, state)
}

func (e *manager) status(ctx context.Context) (Status, error) {
	ring, stage, err := e.current()
	if errors.Is(err, errNoConfiguration) {
		return Status{}, nil
	}
	if err != nil {
		return Status{}, err
	}
	enabled := !ring.disabled
	found := Status{Enable: &enabled, Stage: stage}
	for index, next := range ring.keys {
		if index == 0 && enabled {
			found.ActiveKey = label(next)
		} else {
			found.InactiveKeys = append(found.InactiveKeys, label(next))
		}
	}
	if err := e.verifyHashes(ctx); err != nil {
		found.HashError = err.Error()
	} else {
		found.HashMatch = true
	}
	return found, nil
}

// label is "AES-CBC aescbckey": the kind of key and its name.
func label(next namedKey) string {
	kind := "AES-CBC"
	if next.provider == Secretbox {
		kind = "XSalsa20-POLY1305"
	}
	return kind + " " + next.Name
}

// verifyHashes compares what all servers carry on their Nodes.
func (e *manager) verifyHashes(ctx context.Context) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	nodes, err := client.Nodes().List(ctx, metav1.ListOptions{LabelSelector: "node-role.kubernetes.io/control-plane=true"})
	if err != nil {
		return err
	}
	states := map[string]string{}
	for _, node := range nodes.Items {
		states[node.Name] = node.Annotations[Annotation]
	}
	return compareStates(states)
}

// compareStates names two servers that differ, if any do.
func compareStates(states map[string]string) error {
	names := slices.Sorted(maps.Keys(states))
	for index, name := range names {
		if states[name] == "" {
			return fmt.Errorf("missing annotation on node %s", name)
		}
		if index > 0 && states[name] != states[names[0]] {
			return fmt.Errorf("hash does not match between %s and %s", names[0], name)
		}
	}
	return nil
}

// client speaks to this server's own kube-apiserver, the one that reads the configuration on this disk.
func (e *manager) client() (*corev1.CoreV1Client, error) { return corev1.NewForConfig(e.access()) }

func (e *manager) access() *rest.Config {
	const requests = 200
	return &rest.Config{
		Host: "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(e.settings.APIServerPort)),
		TLSClientConfig: rest.TLSClientConfig{
			CAFile:   e.material.ServerCA.Cert,
			CertFile: e.material.Supervisor.Cert,
			KeyFile:  e.material.Supervisor.Key,
		},
		UserAgent: "k3s-secrets-encrypt",
		QPS:       requests,
		Burst:     requests,
	}
}
