// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package crictl

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func version(t *tool, arguments []string) error {
	if _, _, err := parse("version", arguments); err != nil {
		return err
	}
	answer, err := t.runtime.Version(t.ctx, &cri.VersionRequest{Version: "v1"})
	if err != nil {
		return fmt.Errorf("getting the runtime version: %w", err)
	}
	fmt.Fprintf(t.out, "Version:  %s\nRuntimeName:  %s\nRuntimeVersion:  %s\nRuntimeApiVersion:  %s\n",
		answer.Version, answer.RuntimeName, answer.RuntimeVersion, answer.RuntimeApiVersion)
	return nil
}

func info(t *tool, arguments []string) error {
	o, _, err := parse("info", arguments, "output", "o", "quiet", "q")
	if err != nil {
		return err
	}
	answer, err := t.runtime.Status(t.ctx, &cri.StatusRequest{Verbose: !o.quiet})
	if err != nil {
		return fmt.Errorf("getting status of runtime: %w", err)
	}
	status, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(answer.Status)
	if err != nil {
		return err
	}
	return t.showWithInfo(status, answer.Info, o.output)
}

// showWithInfo prints a status and what the runtime adds to it: texts, most of which are JSON.
func (t *tool) showWithInfo(status []byte, extra map[string]string, format string) error {
	document := map[string]any{"status": json.RawMessage(status)}
	for name, text := range extra {
		if json.Valid([]byte(text)) {
			document[name] = json.RawMessage(text)
		} else {
			document[name] = text
		}
	}
	encoded, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return t.print(encoded, format)
}

// logs prints what a container wrote, from the file in which the runtime keeps it.
func logs(t *tool, arguments []string) error {
	o, rest, err := parse("logs", arguments, "follow", "f", "tail", "timestamps")
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return errors.New("ID cannot be empty")
	}
	id, err := t.containerID(rest[0])
	if err != nil {
		return err
	}
	answer, err := t.runtime.ContainerStatus(t.ctx, &cri.ContainerStatusRequest{ContainerId: id})
	if err != nil {
		return err
	}
	file, err := os.Open(answer.Status.GetLogPath())
	if err != nil {
		return fmt.Errorf("container %q: %w", id, err)
	}
	defer file.Close()
	lines := &logLines{reader: bufio.NewReader(file), out: t.out, timestamps: o.timestamps}
	if err := lines.skipTo(file, o.tail); err != nil {
		return err
	}
	for {
		if err := lines.copy(); err != nil || !o.follow && !o.force {
			return err
		}
		// The timeout of a call does not apply to a log that is followed.
		time.Sleep(200 * time.Millisecond)
		status, err := t.runtime.ContainerStatus(context.WithoutCancel(t.ctx), &cri.ContainerStatusRequest{ContainerId: id})
		if err != nil || status.Status.GetState() != cri.ContainerState_CONTAINER_RUNNING {
			return lines.copy()
		}
	}
}

// logLines takes the runtime's prefix off: time, stream, F for a full line or P for a part of one.
type logLines struct {
	reader     *bufio.Reader
	out        io.Writer
	timestamps bool
	pending    string
}

func (l *logLines) copy() error {
	for {
		line, err := l.reader.ReadString('\n')
		if errors.Is(err, io.EOF) {
			l.pending += line
			return nil
		}
		if err != nil {
			return err
		}
		line, l.pending = l.pending+line, ""
		fmt.Fprint(l.out, plainLine(line, l.timestamps))
	}
}

func plainLine(line string, timestamps bool) string {
	fields := strings.SplitN(line, " ", 4)
	if len(fields) < 4 {
		return line
	}
	text := fields[3]
	if fields[2] == "P" {
		text = strings.TrimSuffix(text, "\n")
	}
	if timestamps {
		text = fields[0] + " " + text
	}
	return text
}

// skipTo leaves only the last lines to be read; a negative number leaves all.
func (l *logLines) skipTo(file *os.File, last int64) error {
	if last < 0 {
		return nil
	}
	total := int64(0)
	for {
		_, err := l.reader.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		total++
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	l.reader.Reset(file)
	for ; total > last; total-- {
		if _, err := l.reader.ReadString('\n'); err != nil {
			return err
		}
	}
	return nil
}
