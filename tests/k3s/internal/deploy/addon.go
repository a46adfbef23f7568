// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package deploy

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"holdfast.internal/k3s/internal/journal"
)

const (
	addonKind      = "Addon"
	addonNamespace = "kube-system"
	addonVersion   = "k3s.cattle.io/v1"
	// kindsAnnotation remembers which kinds an add-on has, to find its objects when it is disabled.
	kindsAnnotation = "addon.k3s.cattle.io/gvks"
)

var (
	addonResource = schema.GroupVersionResource{Group: "k3s.cattle.io", Version: "v1", Resource: "addons"}
	eventResource = schema.GroupVersionResource{Version: "v1", Resource: "events"}
)

// addonDefinition is the CustomResourceDefinition of addons.k3s.cattle.io.
func addonDefinition() *unstructured.Unstructured {
	text := map[string]any{"type": "string", "nullable": true}
	spec := map[string]any{"type": "object", "properties": map[string]any{"source": text, "checksum": text}}
	open := map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	column := func(name, path string) any {
		return map[string]any{"name": name, "type": "string", "jsonPath": path}
	}
	version := map[string]any{
		"name": "v1", "served": true, "storage": true,
		"schema": map[string]any{"openAPIV3Schema": map[string]any{
			"type":       "object",
			"properties": map[string]any{"spec": spec, "status": open},
		}},
		"additionalPrinterColumns": []any{
			column("Source", ".spec.source"), column("Checksum", ".spec.checksum"),
		},
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1",
		"kind":       "CustomResourceDefinition",
		"metadata":   map[string]any{"name": "addons.k3s.cattle.io"},
		"spec": map[string]any{
			"group": "k3s.cattle.io",
			"names": map[string]any{
				"kind": addonKind, "plural": "addons", "singular": "addon", "listKind": "AddonList",
			},
			"scope":    "Namespaced",
			"versions": []any{version},
		},
	}}
}

// defineAddons makes sure that the kind exists and is served.
func (a *applier) defineAddons(ctx context.Context) error {
	definition := addonDefinition()
	resource, err := a.resource(definition.GroupVersionKind(), "")
	if err != nil {
		return err
	}
	options := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
	if _, err := resource.Apply(ctx, definition.GetName(), definition, options); err != nil {
		return fmt.Errorf("failed to create addons.k3s.cattle.io: %w", err)
	}
	a.waitEstablished(ctx, resource, definition.GetName())
	return nil
}

// addon gives the record of one file, or nil where there is none.
func (a *applier) addon(ctx context.Context, name string) (*unstructured.Unstructured, error) {
	found, err := a.client.Resource(addonResource).Namespace(addonNamespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return found, err
}

// record keeps what a file was when it was applied.
func (a *applier) record(ctx context.Context, name, source, checksum string,
	kinds []schema.GroupVersionKind,
) (*unstructured.Unstructured, error) {
	names := make([]string, 0, len(kinds))
	for _, kind := range kinds {
		names = append(names, formatKind(kind))
	}
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": addonVersion,
		"kind":       addonKind,
		"metadata": map[string]any{
			"name": name, "namespace": addonNamespace,
			"annotations": map[string]any{kindsAnnotation: strings.Join(names, ";")},
		},
		"spec": map[string]any{"source": source, "checksum": checksum},
	}}
	options := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
	return a.client.Resource(addonResource).Namespace(addonNamespace).Apply(ctx, name, object, options)
}

// forget deletes an add-on with everything that it brought.
func (a *applier) forget(ctx context.Context, addon *unstructured.Unstructured) error {
	name := addon.GetName()
	a.event(ctx, addon, "Normal", "DeletingManifest", fmt.Sprintf("Deleting manifest %q", name))
	if err := a.remove(ctx, name, recordedKinds(addon), nil); err != nil {
		return err
	}
	err := a.client.Resource(addonResource).Namespace(addonNamespace).Delete(ctx, name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// recordedKinds reads what record wrote.
func recordedKinds(addon *unstructured.Unstructured) []schema.GroupVersionKind {
	if addon == nil {
		return nil
	}
	var kinds []schema.GroupVersionKind
	for _, one := range strings.Split(addon.GetAnnotations()[kindsAnnotation], ";") {
		if kind, ok := parseKind(one); ok {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// formatKind and parseKind write a kind as group/version, Kind=name.
func formatKind(kind schema.GroupVersionKind) string {
	return kind.GroupVersion().String() + ", Kind=" + kind.Kind
}

func parseKind(text string) (schema.GroupVersionKind, bool) {
	version, kind, found := strings.Cut(text, ", Kind=")
	group, err := schema.ParseGroupVersion(version)
	if !found || err != nil || kind == "" {
		return schema.GroupVersionKind{}, false
	}
	return group.WithKind(kind), true
}

// event tells the operator in the cluster what happened to a file; it may fail without harm.
func (a *applier) event(ctx context.Context, addon *unstructured.Unstructured, level, reason, message string) {
	now := time.Now().UTC().Format(time.RFC3339)
	event := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Event",
		"metadata": map[string]any{"generateName": addon.GetName() + ".", "namespace": addonNamespace},
		"involvedObject": map[string]any{
			"apiVersion": addonVersion, "kind": addonKind, "name": addon.GetName(), "namespace": addonNamespace,
			"uid": string(addon.GetUID()),
		},
		"type": level, "reason": reason, "message": message, "count": int64(1),
		"firstTimestamp": now, "lastTimestamp": now,
		"source": map[string]any{"component": "deploy"},
	}}
	_, err := a.client.Resource(eventResource).Namespace(addonNamespace).Create(ctx, event, metav1.CreateOptions{})
	if err != nil {
		journal.Debugf("deploy: event %s of %s: %v", reason, addon.GetName(), err)
	}
}
