// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package deploy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// parseObjects reads all documents of a manifest, YAML or JSON; lists are taken apart.
func parseObjects(content []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for number := 1; ; number++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		found, err := parseDocument(document)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", number, err)
		}
		objects = append(objects, found...)
	}
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	return objects, nil
}

func parseDocument(document []byte) ([]*unstructured.Unstructured, error) {
	asJSON, err := yaml.ToJSON(document)
	if err != nil {
		return nil, err
	}
	if trimmed := bytes.TrimSpace(asJSON); len(trimmed) == 0 || bytes.Equal(trimmed, []byte("null")) {
		return nil, nil
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(asJSON); err != nil {
		return nil, err
	}
	if !object.IsList() {
		if object.GetName() == "" {
			return nil, fmt.Errorf("%s has no metadata.name", object.GetKind())
		}
		return []*unstructured.Unstructured{object}, nil
	}
	list, err := object.ToList()
	if err != nil {
		return nil, err
	}
	var items []*unstructured.Unstructured
	for index := range list.Items {
		if list.Items[index].GetName() == "" {
			return nil, fmt.Errorf("item %d of the list has no metadata.name", index+1)
		}
		items = append(items, &list.Items[index])
	}
	return items, nil
}

// rank lets what others need come first, whatever their order in the file.
func rank(object *unstructured.Unstructured) int {
	switch object.GetKind() {
	case "Namespace":
		return 0
	case "CustomResourceDefinition":
		return 1
	case "ServiceAccount", "PriorityClass", "StorageClass":
		return 2
	default:
		return 3
	}
}
