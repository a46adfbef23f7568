// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package server

import (
	"maps"
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func lease(version, holder string, renewed time.Time) coordinationv1.Lease {
	time := metav1.NewMicroTime(renewed)
	return coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: "k3s-apiserver-other", ResourceVersion: version},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &time},
	}
}

func TestAServerLivesWhileItsLeaseChanges(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e := &endpoints{sightings: map[string]sighting{}}
	steps := []struct {
		after   time.Duration
		version string
		want    bool
	}{
		{0, "1", true},
		{10 * time.Second, "1", true},
		{14 * time.Second, "2", true},
		// The other host's clock says nothing: only that the lease did not change for 15 s of this one's.
		{28 * time.Second, "2", true},
		{29 * time.Second, "2", false},
		{60 * time.Second, "3", true},
	}
	for _, step := range steps {
		if got := e.alive(lease(step.version, "", start), start.Add(step.after)); got != step.want {
			t.Errorf("after %s with version %s: got %v", step.after, step.version, got)
		}
	}
}

func TestAnOldLeaseIsDeadAtFirstSight(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e := &endpoints{sightings: map[string]sighting{}}
	if e.alive(lease("1", "", now.Add(-time.Hour)), now) {
		t.Error("a lease of an hour ago counts as alive")
	}
	e = &endpoints{sightings: map[string]sighting{}}
	if !e.alive(lease("1", "", now.Add(time.Hour)), now) {
		t.Error("a lease from a clock that is ahead counts as dead")
	}
}

func TestTheHolderIsAnAddressAndAPort(t *testing.T) {
	for text, want := range map[string]bool{
		"192.0.2.1:6443": true, "[2001:db8::1]:6443": true, "": false, "192.0.2.1": false, "name:6443": false, "192.0.2.1:x": false,
	} {
		if _, _, ok := holder(lease("1", text, time.Now())); ok != want {
			t.Errorf("%q: got %v", text, ok)
		}
	}
}

func TestAYoungServerKeepsWhatTheServiceHad(t *testing.T) {
	live := map[string]int32{"192.0.2.1": 6443}
	keepKnown(live, slice([]string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, 6443), "192.0.2.3")
	if got := slices.Sorted(maps.Keys(live)); !slices.Equal(got, []string{"192.0.2.1", "192.0.2.2"}) {
		t.Errorf("got %v", got)
	}
}

func TestNodeHostsNamesEachAddress(t *testing.T) {
	node := func(name string, addresses ...corev1.NodeAddress) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Addresses: addresses}}
	}
	address := func(kind corev1.NodeAddressType, text string) corev1.NodeAddress {
		return corev1.NodeAddress{Type: kind, Address: text}
	}
	got := nodeHosts([]*corev1.Node{
		node("one", address(corev1.NodeInternalIP, "192.0.2.1"), address(corev1.NodeHostName, "one")),
		node("two", address(corev1.NodeInternalIP, "192.0.2.2"), address(corev1.NodeInternalDNS, "two.lan"), address(corev1.NodeExternalIP, "203.0.113.2")),
		node("fresh"),
	})
	if want := "192.0.2.1 one\n192.0.2.2 two two.lan\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestTheSchedulerWaitsForANodeThatTakesPods(t *testing.T) {
	node := corev1.Node{}
	if !takesPods(node) {
		t.Error("a node without taints takes pods")
	}
	node.Spec.Taints = []corev1.Taint{{Key: uninitialized}}
	if takesPods(node) {
		t.Error("a node that its cloud has not seen takes none")
	}
}
