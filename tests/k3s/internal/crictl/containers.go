// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package crictl

import (
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ps lists running containers, or all of them.
func ps(t *tool, arguments []string) error {
	o, rest, err := parse("ps", arguments, "all", "a", "quiet", "q", "no-trunc", "output", "o", "name", "namespace", "image", "pod", "p",
		"state", "s", "label", "last", "n", "id")
	if err != nil {
		return err
	}
	filter := &cri.ContainerFilter{PodSandboxId: o.pod, Id: o.id}
	if len(rest) > 0 {
		filter.Id = rest[0]
	}
	if filter.LabelSelector, err = selector(o.label); err != nil {
		return err
	}
	if o.state != "" {
		state, known := cri.ContainerState_value["CONTAINER_"+strings.ToUpper(o.state)]
		if !known {
			return fmt.Errorf("--state should be one of created, running, exited or unknown")
		}
		filter.State = &cri.ContainerStateValue{State: cri.ContainerState(state)}
	} else if !o.all && o.last == 0 {
		filter.State = &cri.ContainerStateValue{State: cri.ContainerState_CONTAINER_RUNNING}
	}
	answer, err := t.runtime.ListContainers(t.ctx, &cri.ListContainersRequest{Filter: filter})
	if err != nil {
		return err
	}
	found, err := matching(answer.Containers, o)
	if err != nil {
		return err
	}
	if o.output == "json" || o.output == "yaml" {
		return t.show(&cri.ListContainersResponse{Containers: found}, o.output)
	}
	var rows [][]string
	for _, one := range found {
		if o.quiet {
			fmt.Fprintln(t.out, one.Id)
			continue
		}
		image := one.Image.GetUserSpecifiedImage()
		if image == "" {
			image = one.Image.GetImage()
		}
		rows = append(rows, []string{
			short(one.Id, o.noTrunc), short(image, o.noTrunc || !strings.HasPrefix(image, "sha256:")), ago(one.CreatedAt),
			stateOf(one.State), one.Metadata.GetName(), fmt.Sprint(one.Metadata.GetAttempt()), short(one.PodSandboxId, o.noTrunc),
			one.Labels["io.kubernetes.pod.name"], one.Labels["io.kubernetes.pod.namespace"],
		})
	}
	if o.quiet {
		return nil
	}
	return t.table("CONTAINER\tIMAGE\tCREATED\tSTATE\tNAME\tATTEMPT\tPOD ID\tPOD\tNAMESPACE", rows)
}

func stateOf(state cri.ContainerState) string {
	text := strings.ToLower(strings.TrimPrefix(state.String(), "CONTAINER_"))
	return strings.ToUpper(text[:1]) + text[1:]
}

// matching applies what the runtime cannot filter by, newest first.
func matching(all []*cri.Container, o options) ([]*cri.Container, error) {
	name, err := regexp.Compile(o.name)
	if err != nil {
		return nil, err
	}
	var found []*cri.Container
	for _, one := range all {
		if name.MatchString(one.Metadata.GetName()) && strings.Contains(one.Labels["io.kubernetes.pod.namespace"], o.namespace) &&
			(o.image == "" || strings.Contains(one.Image.GetImage()+" "+one.Image.GetUserSpecifiedImage(), o.image)) {
			found = append(found, one)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].CreatedAt > found[j].CreatedAt })
	if o.last > 0 && len(found) > o.last {
		found = found[:o.last]
	}
	return found, nil
}

func selector(label string) (map[string]string, error) {
	if label == "" {
		return nil, nil
	}
	name, value, found := strings.Cut(label, "=")
	if !found {
		return nil, fmt.Errorf("incorrectly formatted label: %s", label)
	}
	return map[string]string{name: value}, nil
}

// containerID completes a part of an id.
func (t *tool) containerID(part string) (string, error) {
	answer, err := t.runtime.ListContainers(t.ctx, &cri.ListContainersRequest{Filter: &cri.ContainerFilter{Id: part}})
	if err != nil {
		return "", err
	}
	switch len(answer.Containers) {
	case 0:
		return "", fmt.Errorf("container with ID starting with %s not found: ID does not exist", part)
	case 1:
		return answer.Containers[0].Id, nil
	}
	return "", fmt.Errorf("%s: more than one container's ID begins so", part)
}

func inspect(t *tool, arguments []string) error {
	o, rest, err := parse("inspect", arguments, "output", "o", "quiet", "q")
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return errors.New("ID cannot be empty")
	}
	for _, part := range rest {
		id, err := t.containerID(part)
		if err != nil {
			return err
		}
		answer, err := t.runtime.ContainerStatus(t.ctx, &cri.ContainerStatusRequest{ContainerId: id, Verbose: !o.quiet})
		if err != nil {
			return err
		}
		status, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(answer.Status)
		if err != nil {
			return err
		}
		if err := t.showWithInfo(status, answer.Info, o.output); err != nil {
			return err
		}
	}
	return nil
}

func removeContainers(t *tool, arguments []string) error {
	o, rest, err := parse("rm", arguments, "force", "f", "all", "a")
	if err != nil {
		return err
	}
	if o.all {
		answer, err := t.runtime.ListContainers(t.ctx, &cri.ListContainersRequest{})
		if err != nil {
			return err
		}
		for _, one := range answer.Containers {
			rest = append(rest, one.Id)
		}
	}
	return t.each(rest, t.containerID, func(id string) error {
		if o.force {
			if _, err := t.runtime.StopContainer(t.ctx, &cri.StopContainerRequest{ContainerId: id}); err != nil {
				return err
			}
		} else {
			answer, err := t.runtime.ContainerStatus(t.ctx, &cri.ContainerStatusRequest{ContainerId: id})
			if err != nil {
				return err
			}
			if answer.Status.GetState() == cri.ContainerState_CONTAINER_RUNNING {
				return fmt.Errorf("container %q is running, please stop it first", id)
			}
		}
		_, err := t.runtime.RemoveContainer(t.ctx, &cri.RemoveContainerRequest{ContainerId: id})
		return err
	})
}

func stopContainers(t *tool, arguments []string) error {
	o, rest, err := parse("stop", arguments, "timeout", "t")
	if err != nil {
		return err
	}
	return t.each(rest, t.containerID, func(id string) error {
		_, err := t.runtime.StopContainer(t.ctx, &cri.StopContainerRequest{ContainerId: id, Timeout: o.grace})
		return err
	})
}

// each runs an action for every id, and names all that failed.
func (t *tool) each(parts []string, complete func(string) (string, error), action func(string) error) error {
	if len(parts) == 0 {
		return errors.New("ID cannot be empty")
	}
	var failures []error
	for _, part := range parts {
		id, err := complete(part)
		if err == nil {
			err = action(id)
		}
		if err != nil {
			failures = append(failures, err)
			continue
		}
		fmt.Fprintln(t.out, id)
	}
	return errors.Join(failures...)
}
