// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package agent

import (
	"context"
	"net"
	"strconv"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	discovery "k8s.io/client-go/kubernetes/typed/discovery/v1"

	"holdfast.internal/k3s/internal/journal"
)

// followServers keeps the load balancer's list as the cluster's own, which the apiservers write into the endpoints of
// the Service kubernetes.
func (n *node) followServers(ctx context.Context) {
	client, err := discovery.NewForConfig(n.api)
	if err != nil {
		journal.Errorf("Servers cannot be followed: %v", err)
		return
	}
	slices := client.EndpointSlices(metav1.NamespaceDefault)
	selection := metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=kubernetes"}
	for {
		if err := n.followOnce(ctx, slices, selection); err != nil && ctx.Err() == nil {
			journal.Debugf("Servers are asked for again: %v", err)
		}
		if !pause(ctx, 2*time.Second) {
			return
		}
	}
}

// followOnce lists, then watches until the watch ends.
func (n *node) followOnce(ctx context.Context, slices discovery.EndpointSliceInterface, selection metav1.ListOptions) error {
	list := func() (string, error) {
		call, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		found, err := slices.List(call, selection)
		if err != nil {
			return "", err
		}
		n.balancer.Update(ctx, addressesOf(found.Items))
		return found.ResourceVersion, nil
	}
	version, err := list()
	if err != nil {
		return err
	}
	selection.ResourceVersion = version
	watch, err := slices.Watch(ctx, selection)
	if err != nil {
		return err
	}
	defer watch.Stop()
	for range watch.ResultChan() {
		if _, err := list(); err != nil {
			return err
		}
	}
	return nil
}

// addressesOf gives host:port of every endpoint.
func addressesOf(slices []discoveryv1.EndpointSlice) []string {
	var found []string
	for _, slice := range slices {
		for _, port := range slice.Ports {
			if port.Port == nil {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				for _, address := range endpoint.Addresses {
					found = append(found, net.JoinHostPort(address, strconv.Itoa(int(*port.Port))))
				}
			}
		}
	}
	return found
}
