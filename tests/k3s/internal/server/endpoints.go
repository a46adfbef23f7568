// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package server

import (
	"context"
	"net"
	"strconv"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcoordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	typeddiscovery "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/client-go/rest"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/settings"
)

const (
	leasePrefix = "k3s-apiserver-"
	leaseLabel  = "k3s.cattle.io/apiserver"
	// A server that did not renew for as long as upstream's own reconciler allows is taken out of the Service.
	leaseRenewal  = 5 * time.Second
	leaseDuration = 15 * time.Second
	goodbye       = 2 * time.Second
)

// endpoints keeps the "kubernetes" Service pointing at all live servers. k3s' kube-apiserver does that itself, since its
// source is changed to advertise the port of the supervisor in front of it. The upstream one advertises the port that
// it listens on, which nobody can reach here, so its reconciler is off and this one does the work the same way: a lease
// for each server, and an address in the Service for each living lease.
type endpoints struct {
	leases    typedcoordination.LeaseInterface
	services  typedcore.EndpointsInterface
	slices    typeddiscovery.EndpointSliceInterface
	name      string
	address   net.IP
	port      int32
	started   time.Time
	sightings map[string]sighting
}

// sighting is when a lease was last seen to change, by this host's own clock: those of others may be wrong.
type sighting struct {
	version string
	at      time.Time
}

func newEndpoints(config *rest.Config, s *settings.Settings) (*endpoints, error) {
	core, err := typedcore.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	coordination, err := typedcoordination.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	discovery, err := typeddiscovery.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &endpoints{
		leases:    coordination.Leases(metav1.NamespaceSystem),
		services:  core.Endpoints(metav1.NamespaceDefault),
		slices:    discovery.EndpointSlices(metav1.NamespaceDefault),
		name:      leasePrefix + s.NodeName,
		address:   s.AdvertiseIP,
		port:      int32(s.AdvertisePort),
		started:   time.Now(),
		sightings: map[string]sighting{},
	}, nil
}

// run renews and reconciles until the context ends, then takes this server out of the Service.
func (e *endpoints) run(ctx context.Context) {
	for sleep(ctx, leaseRenewal) {
		if err := e.reconcile(ctx); err != nil && ctx.Err() == nil {
			journal.Debugf("endpoints of the kubernetes Service: %v", err)
		}
	}
	last, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	if e.leases.Delete(last, e.name, metav1.DeleteOptions{}) == nil {
		_ = e.publish(last, e.address.String())
	}
}

// reconcile renews the own lease and writes the Service's addresses.
func (e *endpoints) reconcile(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseDuration)
	defer cancel()
	if err := e.renew(ctx); err != nil {
		return err
	}
	return e.publish(ctx, "")
}

func (e *endpoints) renew(ctx context.Context) error {
	now, seconds := metav1.NowMicro(), int32(leaseDuration/time.Second)
	holder := net.JoinHostPort(e.address.String(), strconv.Itoa(int(e.port)))
	spec := coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &now}
	lease, err := e.leases.Get(ctx, e.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		lease = &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: e.name, Labels: map[string]string{leaseLabel: "true"}}, Spec: spec,
		}
		_, err = e.leases.Create(ctx, lease, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	lease.Spec = spec
	_, err = e.leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}

// publish writes the addresses of all live servers, except one that is leaving.
func (e *endpoints) publish(ctx context.Context, leaving string) error {
	list, err := e.leases.List(ctx, metav1.ListOptions{LabelSelector: leaseLabel + "=true"})
	if err != nil {
		return err
	}
	live := map[string]int32{}
	if leaving == "" {
		live[e.address.String()] = e.port
	}
	for _, lease := range list.Items {
		host, port, ok := holder(lease)
		if ok && host != leaving && e.alive(lease, time.Now()) {
			live[host] = port
		}
	}
	return e.write(ctx, live, leaving)
}

// alive follows a lease's changes rather than its times. A lease seen for the first time counts by its time.
func (e *endpoints) alive(lease coordinationv1.Lease, now time.Time) bool {
	seen, known := e.sightings[lease.Name]
	if !known || seen.version != lease.ResourceVersion {
		at := now
		if !known && lease.Spec.RenewTime != nil && lease.Spec.RenewTime.Time.Before(now) {
			at = lease.Spec.RenewTime.Time
		}
		seen = sighting{version: lease.ResourceVersion, at: at}
		e.sightings[lease.Name] = seen
	}
	return now.Sub(seen.at) < leaseDuration
}

// young tells that this server has not watched the others for long enough to call one of them dead.
func (e *endpoints) young() bool { return time.Since(e.started) < leaseDuration }

func holder(lease coordinationv1.Lease) (string, int32, bool) {
	if lease.Spec.HolderIdentity == nil {
		return "", 0, false
	}
	host, text, err := net.SplitHostPort(*lease.Spec.HolderIdentity)
	if err != nil || net.ParseIP(host) == nil {
		return "", 0, false
	}
	port, err := strconv.ParseInt(text, 10, 32)
	return host, int32(port), err == nil
}
