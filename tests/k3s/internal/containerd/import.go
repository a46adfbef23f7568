// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	images "github.com/containerd/containerd/api/services/images/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/settings"
)

// watchInterval is how often agent/images is looked at while the node runs.
const watchInterval = 5 * time.Second

// importer brings images from archives to the runtime.
type importer struct {
	directory  string
	ctr        string
	pause      string
	registries []string
	images     images.ImagesClient
	pull       cri.ImageServiceClient
	// seen is what the last look at the folder found, so that the next one imports only what is new.
	seen map[string]archive
}

// Import brings everything in agent/images to the runtime, and goes on watching the folder until ctx ends. One bad
// archive does not stop the others.
func Import(ctx context.Context, s *settings.Settings) error {
	directory := filepath.Join(s.AgentDir(), "images")
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	connection, err := Dial(Endpoint)
	if err != nil {
		return err
	}
	i := &importer{
		directory: directory, ctr: s.Binary("ctr"), pause: s.PauseImage, seen: map[string]archive{},
		registries: append(append([]string{}, s.AirgapExtraRegistry...), s.SystemDefaultRegistry),
		images:     images.NewImagesClient(connection), pull: cri.NewImageServiceClient(connection),
	}
	i.run(ctx)
	// Archives that are gone pin nothing any more.
	stale := func(image *images.Image) bool {
		_, known := i.seen[filepath.Join(directory, image.Labels[sourceLabel])]
		return !known
	}
	if err := i.unpin(inNamespace(ctx), stale); err != nil {
		connection.Close()
		return fmt.Errorf("failed to clear pinned labels: %w", err)
	}
	go func() {
		defer connection.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(watchInterval):
				i.run(ctx)
			}
		}
	}()
	return nil
}

// run looks at the folder once.
func (i *importer) run(ctx context.Context) {
	present, err := archives(i.directory)
	if err != nil {
		journal.Errorf("Failed to read %s: %v", i.directory, err)
		return
	}
	remembered := openCache(i.directory)
	changed := false
	now := map[string]archive{}
	for _, found := range present {
		now[found.path] = found
		if before, known := i.seen[found.path]; known && before == found {
			continue
		}
		changed = true
		if names, known := remembered.has(found); known && i.pinAgain(ctx, found, names) {
			journal.Debugf("Images from %s are unchanged since their last import", found.path)
			continue
		}
		names, err := i.bring(ctx, found)
		if err != nil {
			if ctx.Err() == nil {
				journal.Errorf("Error encountered while importing %s: %v", found.path, err)
			}
			continue
		}
		remembered.remember(found, names)
	}
	i.seen = now
	if changed {
		if err := remembered.save(present); err != nil {
			journal.Warnf("Failed to write %s: %v", remembered.path, err)
		}
	}
}

func (i *importer) bring(ctx context.Context, found archive) ([]string, error) {
	if found.isList() {
		return i.pullList(ctx, found)
	}
	return i.importArchive(ctx, found)
}

// importArchive hands the file to containerd's own client, then pins and tags what it brought.
func (i *importer) importArchive(ctx context.Context, found archive) ([]string, error) {
	journal.Infof("Importing images from %s", found.path)
	begun := time.Now()
	source, state := filepath.Base(found.path), found.state()
	if names, all := i.present(inNamespace(ctx), found); all {
		journal.Infof("Images from %s are unchanged and all there: %s", found.path, strings.Join(names, ", "))
		return names, nil
	}
	content, err := found.reader()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	command := exec.CommandContext(ctx, i.ctr, "--address", Socket, "--namespace", Namespace, "images", "import",
		"--all-platforms", "--no-unpack", "--label", sourceLabel+"="+source, "--label", stateLabel+"="+state,
		"--label", pinnedLabel+"="+pinnedValue, "-")
	command.Stdin = content
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said bytes.Buffer
	command.Stderr = &said
	if err := command.Run(); err != nil {
		// Warnings come first, the reason last.
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		return nil, fmt.Errorf("%w: %s", err, lines[len(lines)-1])
	}
	names, err := i.finish(inNamespace(ctx), source, state)
	if err == nil {
		journal.Infof("Imported images from %s in %s", found.path, time.Since(begun).Round(time.Millisecond))
	}
	return names, err
}

// finish tags what an import brought, and lets go of what an earlier version of the archive had besides.
func (i *importer) finish(ctx context.Context, source, state string) ([]string, error) {
	brought, err := i.list(ctx, func(image *images.Image) bool {
		return image.Labels[sourceLabel] == source && image.Labels[stateLabel] == state
	})
	if err != nil {
		return nil, err
	}
	if len(brought) == 0 {
		return nil, errors.New("no image in it")
	}
	names := make([]string, 0, len(brought))
	for _, image := range brought {
		names = append(names, image.Name)
		if !strings.Contains(image.Name, "@") {
			journal.Infof("Imported %s", image.Name)
			i.tagAll(ctx, image)
		}
	}
	// The count comes last: without it the next start imports again, whatever interrupted this one.
	for _, image := range brought {
		if err := i.label(ctx, image, map[string]string{countLabel: strconv.Itoa(len(brought))}); err != nil {
			return nil, err
		}
	}
	sort.Strings(names)
	return names, i.unpin(ctx, func(image *images.Image) bool {
		return image.Labels[sourceLabel] == source && image.Labels[stateLabel] != state
	})
}

func (i *importer) tagAll(ctx context.Context, image *images.Image) {
	others, err := otherNames(image.Name, image.Target.GetDigest(), i.registries)
	if err != nil {
		journal.Warnf("%v", err)
		return
	}
	for _, other := range others {
		if err := i.tag(ctx, image, other); err != nil {
			journal.Warnf("Failed to tag %s: %v", other, err)
			continue
		}
		journal.Infof("Tagged %s", other)
	}
}

// pinAgain sets the labels of images that need no import. False if there is nothing to pin: then the archive was never
// imported to this runtime, whatever the cache says.
func (i *importer) pinAgain(ctx context.Context, found archive, names []string) bool {
	ctx = inNamespace(ctx)
	all, err := i.images.List(ctx, &images.ListImagesRequest{})
	if err != nil {
		return false
	}
	present := map[string]*images.Image{}
	for _, image := range all.Images {
		present[image.Name] = image
	}
	labels := map[string]string{pinnedLabel: pinnedValue, sourceLabel: filepath.Base(found.path)}
	for _, name := range names {
		// A pruned image stays missing until its archive is touched: so does k3s.
		if image := present[name]; image != nil {
			if err := i.label(ctx, image, labels); err != nil {
				journal.Warnf("Failed to pin %s: %v", name, err)
			}
		}
	}
	return len(all.Images) > 0
}

// pullList asks the runtime to pull what a .txt file names.
func (i *importer) pullList(ctx context.Context, found archive) ([]string, error) {
	journal.Infof("Pulling images from %s", found.path)
	references, err := found.references()
	if err != nil {
		return nil, err
	}
	var pulled []string
	for _, reference := range references {
		request := &cri.PullImageRequest{Image: &cri.ImageSpec{Image: reference}}
		if _, err := i.pull.PullImage(ctx, request); err != nil {
			journal.Errorf("Failed to pull %s: %v", reference, err)
			continue
		}
		journal.Infof("Imported %s", reference)
		pulled = append(pulled, reference)
	}
	if len(pulled) < len(references) {
		return nil, fmt.Errorf("%d of %d images could not be pulled", len(references)-len(pulled), len(references))
	}
	labels := map[string]string{pinnedLabel: pinnedValue, sourceLabel: filepath.Base(found.path)}
	for _, name := range pulled {
		if err := i.label(inNamespace(ctx), &images.Image{Name: name}, labels); err != nil {
			journal.Warnf("Failed to pin %s: %v", name, err)
		}
	}
	return pulled, nil
}
