// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: Apache-2.0

// Command engine-metrics tells Kubernetes how busy engines are: it asks each for its summary and serves that as
// custom.metrics.k8s.io, by which a HorizontalPodAutoscaler decides how many there should be.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/logs"
	"k8s.io/klog/v2"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"
)

func main() {
	logs.InitLogs()
	defer logs.FlushLogs()
	if err := run(); err != nil {
		klog.Errorf("engine-metrics: %v", err)
		klog.FlushAndExit(klog.ExitFlushTimeout, 1)
	}
}

func run() error {
	until, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	adapter := cmd.AdapterBase{Name: "engine-metrics"}
	flags := adapter.Flags()
	engines := flags.String("engines", "", "labels that a pod must have to be asked, whoever wants to know")
	keyFile := flags.String("key-file", "", "file with a key of the engines, of scope metrics")
	patience := flags.Duration("patience", 2*time.Second, "how long an engine may take to answer before it is left out")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	selector, err := labels.Parse(*engines)
	if err != nil {
		return fmt.Errorf("--engines: %w", err)
	}
	if selector.Empty() {
		return errors.New("--engines is empty, so any pod could be shown the key")
	}
	if _, err := os.Stat(*keyFile); err != nil {
		return fmt.Errorf("--key-file: %w", err)
	}
	config, err := adapter.ClientConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	adapter.WithCustomMetrics(&engineMetrics{cluster{client}, selector, newAsker(*keyFile), *patience})
	return adapter.Run(until)
}
