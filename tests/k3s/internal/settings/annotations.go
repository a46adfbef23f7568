// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package settings

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"slices"
	"strings"

	"holdfast.internal/k3s/internal/flags"
)

// mask stands for a secret in what the cluster can read.
const mask = "********"

// secretFlags are not shown in the Node's annotations, by whichever of their names they were given.
var secretFlags = []string{
	"token", "t", "agent-token", "datastore-endpoint", "datastore-cafile", "datastore-certfile", "datastore-keyfile",
	"etcd-s3-access-key", "etcd-s3-secret-key", "etcd-s3-session-token", "vpn-auth",
}

// NodeAnnotations are k3s.io/node-args, node-env and node-config-hash: how this node was started, without secrets. The
// hash covers the secrets too, so that a changed token is a changed configuration.
func (s *Settings) NodeAnnotations(environment []string) (map[string]string, error) {
	shown, hidden := maskArguments(s.Arguments)
	variables := map[string]string{}
	for _, pair := range environment {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "K3S_") {
			continue
		}
		variables[name] = value
		if isSecretVariable(name) {
			hidden = append(hidden, pair)
			variables[name] = mask
		}
	}
	arguments, err := json.Marshal(shown)
	if err != nil {
		return nil, err
	}
	named, err := json.Marshal(variables)
	if err != nil {
		return nil, err
	}
	digest := sha256.New()
	for _, part := range append([]string{string(arguments), string(named)}, hidden...) {
		digest.Write([]byte(part))
	}
	return map[string]string{
		"k3s.io/node-args":        string(arguments),
		"k3s.io/node-env":         string(named),
		"k3s.io/node-config-hash": base32.StdEncoding.EncodeToString(digest.Sum(nil)),
	}, nil
}

// maskArguments splits "--flag=value" into two words and hides what is secret.
func maskArguments(arguments []string) (shown, hidden []string) {
	for index := 0; index < len(arguments); index++ {
		name, value, joined := strings.Cut(arguments[index], "=")
		if !strings.HasPrefix(name, "-") {
			shown = append(shown, arguments[index])
			continue
		}
		secret := slices.Contains(secretFlags, strings.TrimLeft(name, "-"))
		if !joined && secret && index+1 < len(arguments) {
			index++
			value, joined = arguments[index], true
		}
		if secret {
			hidden = append(hidden, value)
			value = mask
		}
		shown = append(shown, name)
		if joined {
			shown = append(shown, value)
		}
	}
	return shown, hidden
}

func isSecretVariable(name string) bool {
	for _, definition := range flags.For(string(RoleServer)) {
		if definition.Env == name && slices.Contains(secretFlags, definition.Name) {
			return true
		}
	}
	return false
}
