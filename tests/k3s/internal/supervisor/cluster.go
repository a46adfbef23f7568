// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package supervisor

import (
	"context"
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	typeddiscovery "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/client-go/rest"
)

// cluster is the little that the supervisor itself asks of the API.
type cluster struct {
	core      typedcore.CoreV1Interface
	discovery typeddiscovery.DiscoveryV1Interface
}

func newCluster(config *rest.Config) (*cluster, error) {
	core, err := typedcore.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	discovery, err := typeddiscovery.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &cluster{core: core, discovery: discovery}, nil
}

// SecretData reads a secret of kube-system.
func (c *cluster) SecretData(ctx context.Context, name string) (map[string][]byte, error) {
	found, err := c.core.Secrets(metav1.NamespaceSystem).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return found.Data, nil
}

// CreateSecret makes an immutable secret in kube-system.
func (c *cluster) CreateSecret(ctx context.Context, name string, data map[string][]byte) error {
	immutable := true
	_, err := c.core.Secrets(metav1.NamespaceSystem).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: metav1.NamespaceSystem},
		Data:       data,
		Immutable:  &immutable,
	}, metav1.CreateOptions{})
	return err
}

// APIServers gives host:port of every server whose apiserver keeps its place in the "kubernetes" Service.
func (c *cluster) APIServers(ctx context.Context) ([]string, error) {
	selector := discoveryv1.LabelServiceName + "=kubernetes"
	slicesFound, err := c.discovery.EndpointSlices(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	addresses := []string{}
	for _, slice := range slicesFound.Items {
		for _, port := range slice.Ports {
			if port.Port == nil || port.Name != nil && *port.Name != "https" {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				for _, address := range endpoint.Addresses {
					addresses = append(addresses, net.JoinHostPort(address, strconv.Itoa(int(*port.Port))))
				}
			}
		}
	}
	slices.Sort(addresses)
	return slices.Compact(addresses), nil
}
