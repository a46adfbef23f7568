// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package server

import (
	"context"
	"maps"
	"net"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	serviceName = "kubernetes"
	portName    = "https"
	// skipMirror keeps the controller-manager from making a second slice of the Endpoints.
	skipMirror = "endpointslice.kubernetes.io/skip-mirror"
)

// write brings both forms of the Service's addresses up to date: the slice, which proxies read, and the older
// Endpoints, which people and older programs read.
func (e *endpoints) write(ctx context.Context, live map[string]int32, leaving string) error {
	found, err := e.slices.Get(ctx, serviceName, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return err
	}
	if !missing && e.young() {
		keepKnown(live, found, leaving)
	}
	if len(live) == 0 {
		return nil
	}
	addresses := slices.Sorted(maps.Keys(live))
	wanted := slice(addresses, live[addresses[0]])
	switch {
	case missing:
		_, err = e.slices.Create(ctx, wanted, metav1.CreateOptions{})
	case !reflect.DeepEqual(found.Endpoints, wanted.Endpoints) || !reflect.DeepEqual(found.Ports, wanted.Ports):
		wanted.ResourceVersion = found.ResourceVersion
		_, err = e.slices.Update(ctx, wanted, metav1.UpdateOptions{})
	}
	if err != nil {
		return err
	}
	return e.writeEndpoints(ctx, addresses, live[addresses[0]])
}

func (e *endpoints) writeEndpoints(ctx context.Context, addresses []string, port int32) error {
	wanted := &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Name: serviceName, Labels: map[string]string{skipMirror: "true"}},
		Subsets: []corev1.EndpointSubset{{
			Ports: []corev1.EndpointPort{{Name: portName, Port: port, Protocol: corev1.ProtocolTCP}},
		}},
	}
	for _, address := range addresses {
		wanted.Subsets[0].Addresses = append(wanted.Subsets[0].Addresses, corev1.EndpointAddress{IP: address})
	}
	found, err := e.services.Get(ctx, serviceName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = e.services.Create(ctx, wanted, metav1.CreateOptions{})
	case err == nil && !reflect.DeepEqual(found.Subsets, wanted.Subsets):
		wanted.ResourceVersion = found.ResourceVersion
		_, err = e.services.Update(ctx, wanted, metav1.UpdateOptions{})
	}
	return err
}

// keepKnown adds what the slice has already.
func keepKnown(live map[string]int32, found *discoveryv1.EndpointSlice, leaving string) {
	for _, port := range found.Ports {
		if port.Port == nil {
			continue
		}
		for _, endpoint := range found.Endpoints {
			for _, address := range endpoint.Addresses {
				if _, known := live[address]; !known && address != leaving {
					live[address] = *port.Port
				}
			}
		}
	}
}

// slice has one endpoint for each server.
func slice(addresses []string, port int32) *discoveryv1.EndpointSlice {
	name, protocol, ready := portName, corev1.ProtocolTCP, true
	made := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: serviceName, Labels: map[string]string{discoveryv1.LabelServiceName: serviceName},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}},
	}
	if net.ParseIP(addresses[0]).To4() == nil {
		made.AddressType = discoveryv1.AddressTypeIPv6
	}
	for _, address := range addresses {
		made.Endpoints = append(made.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		})
	}
	return made
}
