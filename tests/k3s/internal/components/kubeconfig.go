// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package components

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
)

// defaultName names cluster, user and context, as in every k3s.yaml.
const defaultName = "default"

// reference is how a kubeconfig names its certificates: by path, or with the content in it.
type reference func(path string) (key string, value string, err error)

func byPath(path string) (string, string, error) { return "", path, nil }

func byContent(path string) (string, string, error) {
	content, err := os.ReadFile(path)
	return "-data", base64.StdEncoding.EncodeToString(content), err
}

// kubeconfig builds a configuration file for one client.
func kubeconfig(server, authority string, client material.Pair, refer reference) ([]byte, error) {
	cluster := map[string]any{"server": server}
	person := map[string]any{}
	for _, entry := range []struct {
		into map[string]any
		key  string
		path string
	}{
		{cluster, "certificate-authority", authority},
		{person, "client-certificate", client.Cert},
		{person, "client-key", client.Key},
	} {
		suffix, value, err := refer(entry.path)
		if err != nil {
			return nil, err
		}
		entry.into[entry.key+suffix] = value
	}
	return yaml.Marshal(map[string]any{
		"apiVersion":      "v1",
		"kind":            "Config",
		"preferences":     map[string]any{},
		"clusters":        []any{map[string]any{"name": defaultName, "cluster": cluster}},
		"users":           []any{map[string]any{"name": defaultName, "user": person}},
		"contexts":        []any{map[string]any{"name": defaultName, "context": map[string]any{"cluster": defaultName, "user": defaultName}}},
		"current-context": defaultName,
	})
}

// WriteKubeconfigs writes what the components of this server use to reach its kube-apiserver.
func WriteKubeconfigs(s *settings.Settings, m *material.Material) error {
	server := "https://" + APIServerAddress(s)
	for name, client := range map[string]material.Pair{
		"admin":            m.Admin,
		"supervisor":       m.Supervisor,
		"controller":       m.ControllerManager,
		"scheduler":        m.Scheduler,
		"cloud-controller": m.CloudController,
	} {
		content, err := kubeconfig(server, m.ServerCA.Cert, client, byPath)
		if err != nil {
			return err
		}
		if _, err := durable.WriteIfChanged(m.Kubeconfig(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// WriteAdminKubeconfig writes the operator's own, k3s.yaml, with everything in it.
func WriteAdminKubeconfig(s *settings.Settings, m *material.Material) error {
	server := "https://127.0.0.1:" + strconv.Itoa(s.HTTPSPort)
	content, err := kubeconfig(server, m.ServerCA.Cert, m.Admin, byContent)
	if err != nil {
		return err
	}
	mode, err := kubeconfigMode(s.KubeconfigMode)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.KubeconfigPath), 0o755); err != nil {
		return err
	}
	if err := durable.Write(s.KubeconfigPath, content, mode); err != nil {
		return err
	}
	if s.KubeconfigGroup != "" {
		if err := setGroup(s.KubeconfigPath, s.KubeconfigGroup); err != nil {
			return fmt.Errorf("failed to set group of %s to %s: %w", s.KubeconfigPath, s.KubeconfigGroup, err)
		}
	}
	journal.Infof("Wrote kubeconfig %s", s.KubeconfigPath)
	return nil
}

func kubeconfigMode(text string) (fs.FileMode, error) {
	if text == "" {
		return 0o600, nil
	}
	mode, err := strconv.ParseUint(text, 8, 32)
	if err != nil || mode > 0o777 {
		return 0, fmt.Errorf("invalid write-kubeconfig-mode %q", text)
	}
	return fs.FileMode(mode), nil
}

func setGroup(path, name string) error {
	id, err := strconv.Atoi(name)
	if err != nil {
		group, err := user.LookupGroup(name)
		if err != nil {
			return err
		}
		if id, err = strconv.Atoi(group.Gid); err != nil {
			return errors.New("group id is not numeric: " + strings.TrimSpace(group.Gid))
		}
	}
	return os.Chown(path, -1, id)
}
