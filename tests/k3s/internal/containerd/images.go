// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package containerd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"strings"

	images "github.com/containerd/containerd/api/services/images/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

const (
	// Namespace is where the kubelet's images and containers live.
	Namespace = "k8s.io"
	// pinnedLabel keeps an image from the kubelet's garbage collection.
	pinnedLabel = "io.cri-containerd.pinned"
	pinnedValue = "pinned"
	// sourceLabel names the archive that an image came with, and says that we pinned it.
	sourceLabel = "holdfast.internal/imported-from"
	// stateLabel is the archive's size and times then; countLabel how many images it brought. Both together tell at the
	// next start that all is there already. A name that we added has no count.
	stateLabel = "holdfast.internal/archive-state"
	countLabel = "holdfast.internal/archive-images"
)

// inNamespace adds the header by which containerd tells its tenants apart.
func inNamespace(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "containerd-namespace", Namespace)
}

// list gives the images for which wanted is true.
func (i *importer) list(ctx context.Context, wanted func(*images.Image) bool) ([]*images.Image, error) {
	all, err := i.images.List(ctx, &images.ListImagesRequest{})
	if err != nil {
		return nil, err
	}
	var found []*images.Image
	for _, image := range all.Images {
		if wanted(image) {
			found = append(found, image)
		}
	}
	return found, nil
}

// unpin takes the labels away from images that no archive of ours holds any more, so that they can be collected. pause
// is pinned by containerd itself and stays so.
func (i *importer) unpin(ctx context.Context, stale func(*images.Image) bool) error {
	found, err := i.list(ctx, func(image *images.Image) bool { return image.Labels[sourceLabel] != "" && stale(image) })
	if err != nil {
		return err
	}
	gone := map[string]string{pinnedLabel: "", sourceLabel: "", stateLabel: "", countLabel: ""}
	for _, image := range found {
		if image.Name == i.pause {
			continue
		}
		if err := i.label(ctx, image, gone); err != nil {
			return err
		}
	}
	return nil
}

// label sets labels, or removes those whose value is empty. An image that went in the meantime is no error.
func (i *importer) label(ctx context.Context, image *images.Image, labels map[string]string) error {
	changed := &images.Image{Name: image.Name, Target: image.Target, Labels: map[string]string{}}
	mask := &fieldmaskpb.FieldMask{}
	for name, value := range labels {
		mask.Paths = append(mask.Paths, "labels."+name)
		if value != "" {
			changed.Labels[name] = value
		}
	}
	_, err := i.images.Update(ctx, &images.UpdateImageRequest{Image: changed, UpdateMask: mask})
	if status.Code(err) == codes.NotFound {
		return nil
	}
	return err
}

// present tells whether every image that an unchanged archive brought at an earlier start is still there. An image that
// is there keeps its content, so a new import would change nothing.
func (i *importer) present(ctx context.Context, found archive) ([]string, bool) {
	state, source := found.state(), filepath.Base(found.path)
	brought, err := i.list(ctx, func(image *images.Image) bool {
		return image.Labels[sourceLabel] == source && image.Labels[stateLabel] == state && image.Labels[countLabel] != ""
	})
	if err != nil || len(brought) == 0 || brought[0].Labels[countLabel] != strconv.Itoa(len(brought)) {
		return nil, false
	}
	names := make([]string, 0, len(brought))
	for _, image := range brought {
		names = append(names, image.Name)
	}
	return names, true
}

// tag gives an image one more name.
func (i *importer) tag(ctx context.Context, image *images.Image, name string) error {
	labels := maps.Clone(image.Labels)
	delete(labels, countLabel)
	copied := &images.Image{Name: name, Target: image.Target, Labels: labels}
	_, err := i.images.Create(ctx, &images.CreateImageRequest{Image: copied})
	if status.Code(err) == codes.AlreadyExists {
		_, err = i.images.Update(ctx, &images.UpdateImageRequest{Image: copied})
	}
	return err
}

// otherNames are name@digest, and the same image under the registries that the operator named.
func otherNames(name, digest string, registries []string) ([]string, error) {
	if strings.Contains(name, "@") {
		return nil, nil
	}
	colon := strings.LastIndex(name, ":")
	slash := strings.LastIndex(name, "/")
	if colon <= slash || slash < 0 {
		return nil, fmt.Errorf("failed to parse reference %q", name)
	}
	if digest == "" {
		return nil, errors.New("image without a digest: " + name)
	}
	found := []string{name[:colon] + "@" + digest}
	_, path, _ := strings.Cut(name, "/")
	for _, registry := range registries {
		if registry = strings.TrimSuffix(registry, "/"); registry != "" && !strings.HasPrefix(name, registry+"/") {
			found = append(found, registry+"/"+path)
		}
	}
	return found, nil
}
