// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package crictl is the small part of crictl that operators use on a node: it asks the container runtime directly, and
// so works while the API does not.
package crictl

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"sigs.k8s.io/yaml"

	"holdfast.internal/k3s/internal/containerd"
	build "holdfast.internal/k3s/internal/version"
)

const defaultTimeout = 2 * time.Minute

// tool is one call.
type tool struct {
	ctx     context.Context
	out     io.Writer
	runtime cri.RuntimeServiceClient
	images  cri.ImageServiceClient
}

// command is one sub-command with its own flags.
type command struct {
	usage string
	run   func(*tool, []string) error
}

var commands map[string]command

func init() {
	// Filled here because "help" lists the commands, which would be a cycle otherwise.
	commands = map[string]command{
		"ps":       {"List containers", ps},
		"pods":     {"List pods", pods},
		"images":   {"List images", listImages},
		"image":    {"List images", listImages},
		"pull":     {"Pull an image from a registry", pull},
		"rmi":      {"Remove one or more images", removeImages},
		"rmp":      {"Remove one or more pods", removePods},
		"stopp":    {"Stop one or more running pods", stopPods},
		"rm":       {"Remove one or more containers", removeContainers},
		"stop":     {"Stop one or more running containers", stopContainers},
		"info":     {"Display information of the container runtime", info},
		"logs":     {"Fetch the logs of a container", logs},
		"inspect":  {"Display the status of one or more containers", inspect},
		"inspectp": {"Display the status of one or more pods", inspectPods},
		"inspecti": {"Return the status of one or more images", inspectImages},
		"version":  {"Display runtime version information", version},
	}
}

// Main runs one call and returns the status to exit with.
func Main(dataDir string, arguments []string) int {
	err := run(context.Background(), dataDir, arguments, os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "time=%q level=fatal msg=%q\n", time.Now().Format(time.RFC3339), err)
		return 1
	}
	return 0
}

func run(ctx context.Context, dataDir string, arguments []string, out io.Writer) error {
	flags := flag.NewFlagSet("crictl", flag.ContinueOnError)
	flags.Usage = func() { usage(out) }
	var endpoint, imageEndpoint, configFile string
	var timeout time.Duration
	for _, name := range []string{"runtime-endpoint", "r"} {
		flags.StringVar(&endpoint, name, os.Getenv("CONTAINER_RUNTIME_ENDPOINT"), "endpoint of the container runtime")
	}
	for _, name := range []string{"image-endpoint", "i"} {
		flags.StringVar(&imageEndpoint, name, os.Getenv("IMAGE_SERVICE_ENDPOINT"), "endpoint of the image service")
	}
	for _, name := range []string{"config", "c"} {
		flags.StringVar(&configFile, name, os.Getenv("CRI_CONFIG_FILE"), "location of the configuration file")
	}
	for _, name := range []string{"timeout", "t"} {
		flags.DurationVar(&timeout, name, defaultTimeout, "how long to wait for an answer")
	}
	for _, name := range []string{"debug", "D"} {
		flags.Bool(name, false, "accepted and of no effect")
	}
	var ownVersion bool
	for _, name := range []string{"version", "v"} {
		flags.BoolVar(&ownVersion, name, false, "print the version of this tool; it needs no runtime")
	}
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if ownVersion {
		fmt.Fprintln(out, "crictl version", build.Version)
		return nil
	}
	rest := flags.Args()
	if len(rest) == 0 || rest[0] == "help" || rest[0] == "h" {
		usage(out)
		return nil
	}
	chosen, found := commands[rest[0]]
	if !found {
		return fmt.Errorf("no such command %q; the stand-in's crictl knows: %s", rest[0], strings.Join(names(), ", "))
	}
	if endpoint == "" {
		var err error
		if endpoint, err = configured(configFile, dataDir); err != nil {
			return err
		}
	}
	connection, err := containerd.Dial(withScheme(endpoint))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	t := &tool{ctx: ctx, out: out, runtime: cri.NewRuntimeServiceClient(connection), images: cri.NewImageServiceClient(connection)}
	if imageEndpoint != "" {
		other, err := containerd.Dial(withScheme(imageEndpoint))
		if err != nil {
			return err
		}
		defer other.Close()
		t.images = cri.NewImageServiceClient(other)
	}
	return chosen.run(t, rest[1:])
}

func withScheme(endpoint string) string {
	if strings.Contains(endpoint, "://") {
		return endpoint
	}
	return "unix://" + endpoint
}

// configured reads the endpoint from the first configuration file that is there.
func configured(named, dataDir string) (string, error) {
	candidates := []string{filepath.Join(dataDir, "agent", "etc", "crictl.yaml")}
	if home, err := os.UserHomeDir(); err == nil {
		candidates = append(candidates, filepath.Join(home, ".rancher", "k3s", "agent", "etc", "crictl.yaml"))
	}
	candidates = append(candidates, "/var/lib/rancher/k3s/agent/etc/crictl.yaml", "/etc/crictl.yaml")
	if named != "" {
		candidates = []string{named}
	}
	for _, path := range candidates {
		contents, err := os.ReadFile(path)
		if os.IsNotExist(err) && named == "" {
			continue
		}
		if err != nil {
			return "", err
		}
		var config struct {
			Endpoint string `json:"runtime-endpoint"`
		}
		if err := yaml.Unmarshal(contents, &config); err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		if config.Endpoint != "" {
			return config.Endpoint, nil
		}
	}
	return containerd.Endpoint, nil
}
