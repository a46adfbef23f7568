// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package flags

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v2"

	"holdfast.internal/k3s/internal/journal"
)

// DefaultConfigFile is read when neither K3S_CONFIG_FILE nor --config names another.
const DefaultConfigFile = "/etc/rancher/k3s/config.yaml"

// Entry is one key of the merged configuration files.
type Entry struct {
	Key    string
	Values []string
}

// Expand returns the arguments with the configuration's pairs placed right after the verb, before the real ones. A
// server's and an etcd-snapshot's unknown keys are dropped with a warning; an agent has no such filter.
func Expand(verb string, arguments []string, environment Environment) ([]string, error) {
	if !slices.Contains([]string{"server", "agent", "etcd-snapshot"}, strings.Fields(verb)[0]) {
		return arguments, nil
	}
	entries, err := ReadConfig(ConfigPath(arguments, environment))
	if err != nil {
		return nil, err
	}
	filter := verb != "agent"
	var expanded []string
	for _, entry := range entries {
		if filter && !Knows(verb, entry.Key) {
			journal.Warnf("Unknown flag --%s found in config.yaml, skipping", entry.Key)
			continue
		}
		expanded = append(expanded, entry.arguments()...)
	}
	return append(expanded, arguments...), nil
}

// ConfigPath finds the configuration file: the environment first, then the last --config or -c, then the default.
func ConfigPath(arguments []string, environment Environment) string {
	if path, found := environment("K3S_CONFIG_FILE"); found && path != "" {
		return path
	}
	return FindArgument(arguments, []string{"config", "c"}, DefaultConfigFile)
}

// FindArgument looks a flag up in raw arguments, before any table is known; the first one wins.
func FindArgument(arguments []string, names []string, fallback string) string {
	for index, argument := range arguments {
		name, value, found := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(argument, "-"), "-"), "=")
		if !strings.HasPrefix(argument, "-") || !slices.Contains(names, name) {
			continue
		}
		if found {
			return value
		}
		if index+1 < len(arguments) {
			return arguments[index+1]
		}
	}
	return fallback
}

// ReadConfig merges the file and its drop-ins. Whatever is missing is silently ignored, even a file named explicitly.
func ReadConfig(path string) ([]Entry, error) {
	if strings.HasPrefix(path, "http://") || strings.HasPrefix(path, "https://") {
		data, err := download(path)
		if err != nil {
			return nil, err
		}
		return mergeConfig(nil, data)
	}
	paths := []string{path}
	dropIns, err := os.ReadDir(path + ".d")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, dropIn := range dropIns {
		suffix := strings.ToLower(filepath.Ext(dropIn.Name()))
		if !dropIn.IsDir() && (suffix == ".yaml" || suffix == ".yml") {
			paths = append(paths, filepath.Join(path+".d", dropIn.Name()))
		}
	}
	var entries []Entry
	for _, name := range paths {
		data, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if entries, err = mergeConfig(entries, data); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// mergeConfig adds one file's keys to those of the files before it: a plain key replaces what is there, `key+` adds.
func mergeConfig(entries []Entry, data []byte) ([]Entry, error) {
	var document yaml.MapSlice
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, err
	}
	for _, pair := range document {
		key, adds := strings.CutSuffix(text(pair.Key), "+")
		entry := newEntry(key, pair.Value)
		position := slices.IndexFunc(entries, func(earlier Entry) bool { return earlier.Key == key })
		switch {
		case position < 0:
			entries = append(entries, entry)
		case adds:
			entries[position].Values = append(slices.Clone(entries[position].Values), entry.Values...)
		default:
			entries[position] = entry
		}
	}
	return entries, nil
}

// newEntry keeps an empty list apart from an empty scalar: the first gives no flag at all, the second "--key=".
func newEntry(key string, value any) Entry {
	entry := Entry{Key: key}
	if items, isList := value.([]any); isList {
		for _, item := range items {
			entry.Values = append(entry.Values, text(item))
		}
		return entry
	}
	entry.Values = []string{text(value)}
	return entry
}

func text(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

func (e Entry) arguments() []string {
	prefix := "--"
	if len(e.Key) == 1 {
		prefix = "-"
	}
	var arguments []string
	for _, value := range e.Values {
		arguments = append(arguments, prefix+e.Key+"="+value)
	}
	return arguments
}

// download fetches a configuration by URL. Nothing on a new host could vouch for the server yet, so it is not verified.
func download(address string) ([]byte, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	client := &http.Client{Timeout: time.Minute, Transport: transport}
	response, err := client.Get(address)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("failed to read config from %s: %s", address, response.Status)
	}
	return io.ReadAll(response.Body)
}
