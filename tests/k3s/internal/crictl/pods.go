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

func pods(t *tool, arguments []string) error {
	o, rest, err := parse("pods", arguments, "quiet", "q", "no-trunc", "output", "o", "name", "namespace", "state", "s", "label", "last",
		"n", "id", "verbose", "v", "all", "a")
	if err != nil {
		return err
	}
	filter := &cri.PodSandboxFilter{Id: o.id}
	if len(rest) > 0 {
		filter.Id = rest[0]
	}
	if filter.LabelSelector, err = selector(o.label); err != nil {
		return err
	}
	if o.state != "" {
		state, known := cri.PodSandboxState_value["SANDBOX_"+strings.ToUpper(o.state)]
		if !known {
			return errors.New("--state should be ready or notready")
		}
		filter.State = &cri.PodSandboxStateValue{State: cri.PodSandboxState(state)}
	}
	answer, err := t.runtime.ListPodSandbox(t.ctx, &cri.ListPodSandboxRequest{Filter: filter})
	if err != nil {
		return err
	}
	name, err := regexp.Compile(o.name)
	if err != nil {
		return err
	}
	var found []*cri.PodSandbox
	for _, one := range answer.Items {
		if name.MatchString(one.Metadata.GetName()) && strings.Contains(one.Metadata.GetNamespace(), o.namespace) {
			found = append(found, one)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].CreatedAt > found[j].CreatedAt })
	if o.last > 0 && len(found) > o.last {
		found = found[:o.last]
	}
	if o.output == "json" || o.output == "yaml" {
		return t.show(&cri.ListPodSandboxResponse{Items: found}, o.output)
	}
	var rows [][]string
	for _, one := range found {
		if o.quiet {
			fmt.Fprintln(t.out, one.Id)
			continue
		}
		state := map[bool]string{true: "Ready", false: "NotReady"}[one.State == cri.PodSandboxState_SANDBOX_READY]
		handler := one.RuntimeHandler
		if handler == "" {
			handler = "(default)"
		}
		rows = append(rows, []string{
			short(one.Id, o.noTrunc), ago(one.CreatedAt), state, one.Metadata.GetName(), one.Metadata.GetNamespace(),
			fmt.Sprint(one.Metadata.GetAttempt()), handler,
		})
	}
	if o.quiet {
		return nil
	}
	return t.table("POD ID\tCREATED\tSTATE\tNAME\tNAMESPACE\tATTEMPT\tRUNTIME", rows)
}

// podID completes a part of an id.
func (t *tool) podID(part string) (string, error) {
	answer, err := t.runtime.ListPodSandbox(t.ctx, &cri.ListPodSandboxRequest{Filter: &cri.PodSandboxFilter{Id: part}})
	if err != nil {
		return "", err
	}
	switch len(answer.Items) {
	case 0:
		return "", fmt.Errorf("pod sandbox with ID starting with %s not found: ID does not exist", part)
	case 1:
		return answer.Items[0].Id, nil
	}
	return "", fmt.Errorf("%s: more than one pod's ID begins so", part)
}

func stopPods(t *tool, arguments []string) error {
	_, rest, err := parse("stopp", arguments)
	if err != nil {
		return err
	}
	return t.each(rest, t.podID, func(id string) error {
		_, err := t.runtime.StopPodSandbox(t.ctx, &cri.StopPodSandboxRequest{PodSandboxId: id})
		return err
	})
}

func removePods(t *tool, arguments []string) error {
	o, rest, err := parse("rmp", arguments, "force", "f", "all", "a")
	if err != nil {
		return err
	}
	if o.all {
		answer, err := t.runtime.ListPodSandbox(t.ctx, &cri.ListPodSandboxRequest{})
		if err != nil {
			return err
		}
		for _, one := range answer.Items {
			rest = append(rest, one.Id)
		}
	}
	return t.each(rest, t.podID, func(id string) error {
		answer, err := t.runtime.PodSandboxStatus(t.ctx, &cri.PodSandboxStatusRequest{PodSandboxId: id})
		if err != nil {
			return err
		}
		if answer.Status.GetState() == cri.PodSandboxState_SANDBOX_READY {
			if !o.force {
				return fmt.Errorf("pod sandbox %q is running, please stop it first", id)
			}
			if _, err := t.runtime.StopPodSandbox(t.ctx, &cri.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
				return err
			}
		}
		_, err = t.runtime.RemovePodSandbox(t.ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id})
		return err
	})
}

func inspectPods(t *tool, arguments []string) error {
	o, rest, err := parse("inspectp", arguments, "output", "o", "quiet", "q")
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return errors.New("ID cannot be empty")
	}
	for _, part := range rest {
		id, err := t.podID(part)
		if err != nil {
			return err
		}
		answer, err := t.runtime.PodSandboxStatus(t.ctx, &cri.PodSandboxStatusRequest{PodSandboxId: id, Verbose: !o.quiet})
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
