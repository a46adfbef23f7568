// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package deploy

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

const (
	fieldManager = "k3s-deploy"
	// hashLabel joins the objects of one file, so that those which left the file can be found again.
	hashLabel   = "objectset.rio.cattle.io/hash"
	ownerPrefix = "objectset.rio.cattle.io/owner-"
)

// applier brings objects into the cluster and takes them out again.
type applier struct {
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

func newApplier(config *rest.Config) (*applier, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	lookup, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(lookup))
	return &applier{client: client, mapper: mapper}, nil
}

// setHash is the label value of all objects of one add-on.
func setHash(addon string) string {
	sum := sha1.Sum([]byte(addonKind + "/" + addonNamespace + "/" + addon))
	return hex.EncodeToString(sum[:])
}

// apply makes the cluster hold the add-on's objects, as `kubectl apply` would, and removes those that an earlier
// version of the file had. It returns the kinds that it used, for the next time.
func (a *applier) apply(ctx context.Context, addon string, objects []*unstructured.Unstructured,
	before []schema.GroupVersionKind,
) ([]schema.GroupVersionKind, error) {
	var kinds []schema.GroupVersionKind
	kept := map[types.UID]bool{}
	for _, object := range objects {
		if kind := object.GroupVersionKind(); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
		uid, err := a.applyOne(ctx, addon, object)
		if err != nil {
			return kinds, fmt.Errorf("%s %s: %w", object.GetKind(), objectName(object), err)
		}
		kept[uid] = true
	}
	all := slices.Clone(before)
	for _, kind := range kinds {
		if !slices.Contains(all, kind) {
			all = append(all, kind)
		}
	}
	return kinds, a.remove(ctx, addon, all, kept)
}

func (a *applier) applyOne(ctx context.Context, addon string, object *unstructured.Unstructured) (types.UID, error) {
	labels := object.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[hashLabel] = setHash(addon)
	object.SetLabels(labels)
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[ownerPrefix+"gvk"] = "k3s.cattle.io/v1, Kind=" + addonKind
	annotations[ownerPrefix+"name"] = addon
	annotations[ownerPrefix+"namespace"] = addonNamespace
	object.SetAnnotations(annotations)

	resource, err := a.resource(object.GroupVersionKind(), object.GetNamespace())
	if err != nil {
		return "", err
	}
	options := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
	applied, err := resource.Apply(ctx, object.GetName(), object, options)
	if err != nil {
		return "", err
	}
	if object.GetKind() == "CustomResourceDefinition" {
		a.waitEstablished(ctx, resource, object.GetName())
	}
	return applied.GetUID(), nil
}

// resource finds the client of a kind; a kind that appeared a moment ago is looked up anew.
func (a *applier) resource(kind schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	mapping, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		a.mapper.Reset()
		mapping, err = a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	}
	if err != nil {
		return nil, err
	}
	client := a.client.Resource(mapping.Resource)
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return client, nil
	}
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return client.Namespace(namespace), nil
}

// waitEstablished gives a new definition a moment; what follows in the file may need it. Failing is no error here:
// the objects that need it fail by themselves and are tried again.
func (a *applier) waitEstablished(ctx context.Context, client dynamic.ResourceInterface, name string) {
	for range 50 {
		found, err := client.Get(ctx, name, metav1.GetOptions{})
		if err == nil && hasCondition(found, "Established") {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	a.mapper.Reset()
}

func hasCondition(object *unstructured.Unstructured, wanted string) bool {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, one := range conditions {
		if condition, ok := one.(map[string]any); ok && condition["type"] == wanted {
			return condition["status"] == "True"
		}
	}
	return false
}

// remove deletes the add-on's objects of the given kinds, except those whose UID is kept.
func (a *applier) remove(ctx context.Context, addon string, kinds []schema.GroupVersionKind,
	kept map[types.UID]bool,
) error {
	background := metav1.DeletePropagationBackground
	for _, kind := range kinds {
		mapping, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if meta.IsNoMatchError(err) {
			continue // The kind itself is gone, and its objects with it.
		}
		if err != nil {
			return err
		}
		client := a.client.Resource(mapping.Resource)
		list, err := client.List(ctx, metav1.ListOptions{LabelSelector: hashLabel + "=" + setHash(addon)})
		if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
			continue
		}
		if err != nil {
			return err
		}
		for _, item := range list.Items {
			if kept[item.GetUID()] || item.GetDeletionTimestamp() != nil {
				continue
			}
			var one dynamic.ResourceInterface = client
			if item.GetNamespace() != "" {
				one = client.Namespace(item.GetNamespace())
			}
			err := one.Delete(ctx, item.GetName(), metav1.DeleteOptions{PropagationPolicy: &background})
			if err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
	}
	return nil
}

func objectName(object *unstructured.Unstructured) string {
	return strings.TrimPrefix(object.GetNamespace()+"/"+object.GetName(), "/")
}
