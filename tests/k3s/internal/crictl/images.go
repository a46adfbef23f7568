// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package crictl

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func listImages(t *tool, arguments []string) error {
	o, rest, err := parse("images", arguments, "quiet", "q", "no-trunc", "output", "o", "verbose", "v")
	if err != nil {
		return err
	}
	request := &cri.ListImagesRequest{}
	if len(rest) > 0 && rest[0] != "ls" && rest[0] != "list" {
		request.Filter = &cri.ImageFilter{Image: &cri.ImageSpec{Image: rest[0]}}
	}
	answer, err := t.images.ListImages(t.ctx, request)
	if err != nil {
		return err
	}
	if o.output == "json" || o.output == "yaml" {
		return t.show(answer, o.output)
	}
	var rows [][]string
	for _, one := range answer.Images {
		if o.quiet {
			fmt.Fprintln(t.out, one.Id)
			continue
		}
		names := one.RepoTags
		if len(names) == 0 {
			names = []string{"<none>:<none>"}
		}
		for _, name := range names {
			colon := strings.LastIndex(name, ":")
			if colon <= strings.LastIndex(name, "/") {
				colon = len(name)
				name += ":<none>"
			}
			rows = append(rows, []string{name[:colon], name[colon+1:], short(one.Id, o.noTrunc), size(one.Size)})
		}
	}
	if o.quiet {
		return nil
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i][0]+":"+rows[i][1] < rows[j][0]+":"+rows[j][1] })
	return t.table("IMAGE\tTAG\tIMAGE ID\tSIZE", rows)
}

// pull asks the runtime; on an offline node its own error says why it could not.
func pull(t *tool, arguments []string) error {
	_, rest, err := parse("pull", arguments)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return errors.New("Image name must be specified")
	}
	answer, err := t.images.PullImage(t.ctx, &cri.PullImageRequest{Image: &cri.ImageSpec{Image: rest[0]}})
	if err != nil {
		return fmt.Errorf("pulling image: %w", err)
	}
	fmt.Fprintf(t.out, "Image is up to date for %s\n", answer.ImageRef)
	return nil
}

func (t *tool) image(name string) (*cri.Image, error) {
	answer, err := t.images.ImageStatus(t.ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
	if err != nil {
		return nil, err
	}
	if answer.Image == nil {
		return nil, fmt.Errorf("no such image %s", name)
	}
	return answer.Image, nil
}

func removeImages(t *tool, arguments []string) error {
	o, rest, err := parse("rmi", arguments, "all", "a", "prune", "q", "quiet")
	if err != nil {
		return err
	}
	if o.all || o.unused {
		if rest, err = t.removable(o.all); err != nil {
			return err
		}
	} else if len(rest) == 0 {
		return errors.New("Image name or ID must be specified")
	}
	var failures []error
	for _, name := range rest {
		found, err := t.image(name)
		if err == nil {
			_, err = t.images.RemoveImage(t.ctx, &cri.RemoveImageRequest{Image: &cri.ImageSpec{Image: found.Id}})
		}
		if err != nil {
			failures = append(failures, err)
			continue
		}
		for _, tag := range found.RepoTags {
			fmt.Fprintf(t.out, "Deleted: %s\n", tag)
		}
	}
	return errors.Join(failures...)
}

// removable lists all images, or those that no container uses and nothing has pinned.
func (t *tool) removable(all bool) ([]string, error) {
	answer, err := t.images.ListImages(t.ctx, &cri.ListImagesRequest{})
	if err != nil {
		return nil, err
	}
	containers, err := t.runtime.ListContainers(t.ctx, &cri.ListContainersRequest{})
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, one := range containers.Containers {
		used[one.ImageId], used[one.ImageRef] = true, true
	}
	var found []string
	for _, one := range answer.Images {
		if all || !used[one.Id] && !one.Pinned {
			found = append(found, one.Id)
		}
	}
	return found, nil
}

func inspectImages(t *tool, arguments []string) error {
	o, rest, err := parse("inspecti", arguments, "output", "o", "quiet", "q")
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return errors.New("Image name or ID must be specified")
	}
	for _, name := range rest {
		if _, err := t.image(name); err != nil {
			return err
		}
		request := &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}, Verbose: !o.quiet}
		answer, err := t.images.ImageStatus(t.ctx, request)
		if err != nil {
			return err
		}
		status, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(answer.Image)
		if err != nil {
			return err
		}
		if err := t.showWithInfo(status, answer.Info, o.output); err != nil {
			return err
		}
	}
	return nil
}
