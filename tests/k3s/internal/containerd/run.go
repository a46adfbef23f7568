// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package containerd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/process"
	"holdfast.internal/k3s/internal/settings"
)

// Start runs containerd with what Configure wrote and returns once it answers as a container runtime.
func Start(ctx context.Context, s *settings.Settings) error {
	path := filepath.Join(s.AgentDir(), "containerd", "containerd.log")
	log, err := openLog(path)
	if err != nil {
		return err
	}
	writer, err := log.pipe()
	if err != nil {
		return err
	}
	// The child has its own copy once it runs; ours would keep the log's reader waiting for ever.
	defer writer.Close()
	journal.Infof("Logging containerd to %s", path)
	environment, level := ownEnvironment(os.Environ())
	arguments := []string{"-c", filepath.Join(ConfigDir(s), "config.toml")}
	if level == "" && s.Debug {
		level = "debug"
	}
	if level != "" {
		arguments = append(arguments, "-l", level)
	}
	_, err = process.Start(process.Spec{
		Name: "containerd", Path: s.Binary("containerd"), Args: arguments, Env: environment, Log: writer,
		Stage: process.StageRuntime,
	})
	if err != nil {
		return err
	}
	return waitUntilReady(ctx, Endpoint)
}

// ownEnvironment turns CONTAINERD_X=y into X=y for containerd alone. The log level is an option, not a variable of its.
func ownEnvironment(all []string) (own []string, level string) {
	for _, pair := range all {
		name, value, _ := strings.Cut(pair, "=")
		rest, ours := strings.CutPrefix(name, "CONTAINERD_")
		switch {
		case !ours || rest == "" || rest == "ADDRESS" || rest == "NAMESPACE":
		case rest == "LOG_LEVEL":
			level = value
		default:
			own = append(own, rest+"="+value)
		}
	}
	return own, level
}

// Dial connects to a runtime's socket. Nothing is sent before the first call.
func Dial(endpoint string) (*grpc.ClientConn, error) {
	const biggest = 16 << 20
	return grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(biggest)))
}

// waitUntilReady asks for the runtime's version until it comes. It has no limit: the process' end ends it all.
func waitUntilReady(ctx context.Context, endpoint string) error {
	connection, err := Dial(endpoint)
	if err != nil {
		return err
	}
	defer connection.Close()
	client := cri.NewRuntimeServiceClient(connection)
	for attempt := 0; ; attempt++ {
		call, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := client.Version(call, &cri.VersionRequest{}, grpc.WaitForReady(true))
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			journal.Infof("containerd is now running")
			return nil
		case attempt%25 == 24 && status.Code(err) == codes.Unimplemented:
			journal.Warnf("Waiting for containerd startup: its CRI plugin is not loaded, containerd.log says why: %v", err)
		case attempt%25 == 24:
			journal.Infof("Waiting for containerd startup: %v", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// WaitExternal waits for a runtime that others run.
func WaitExternal(ctx context.Context, endpoint string) error {
	if !strings.Contains(endpoint, "://") {
		endpoint = "unix://" + endpoint
	}
	if err := waitUntilReady(ctx, endpoint); err != nil {
		return fmt.Errorf("container runtime %s: %w", endpoint, err)
	}
	return nil
}
