// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package etcdsnapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"sigs.k8s.io/yaml"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/token"
	"holdfast.internal/k3s/internal/verb"
)

// Commands are the sub-commands of `k3s etcd-snapshot`; without one, a snapshot is saved.
var Commands = map[string]verb.Command{
	"":       saveCommand,
	"save":   saveCommand,
	"delete": deleteCommand,
	"ls":     listCommand,
	"list":   listCommand,
	"l":      listCommand,
	"prune":  pruneCommand,
}

func saveCommand(ctx context.Context, call *verb.Call) error {
	if len(call.Args) > 0 {
		return errors.New("unexpected arguments")
	}
	done, err := ask(ctx, call, request{
		Operation: opSave, Names: []string{call.Flags.String("name")}, Compress: call.Flags.Bool("snapshot-compress"),
		Retention: call.Flags.Int("snapshot-retention"),
	})
	if err != nil {
		return err
	}
	for _, file := range done.Files {
		journal.Infof("Snapshot %s saved.", file.Name)
	}
	return nil
}

func deleteCommand(ctx context.Context, call *verb.Call) error {
	if len(call.Args) == 0 {
		return errors.New("no snapshots given for removal")
	}
	return tellDeleted(ask(ctx, call, request{Operation: opDelete, Names: call.Args}))
}

func pruneCommand(ctx context.Context, call *verb.Call) error {
	return tellDeleted(ask(ctx, call, request{
		Operation: opPrune, Names: []string{call.Flags.String("name")}, Retention: call.Flags.Int("snapshot-retention"),
	}))
}

func tellDeleted(done answer, err error) error {
	for _, name := range done.Deleted {
		journal.Infof("Snapshot %s deleted.", name)
	}
	return err
}

func listCommand(ctx context.Context, call *verb.Call) error {
	done, err := ask(ctx, call, request{Operation: opList})
	if err != nil {
		return err
	}
	var encoded []byte
	switch format := call.Flags.String("output"); format {
	case "", "table":
		table := tabwriter.NewWriter(call.Stdout, 0, 8, 1, ' ', 0)
		fmt.Fprintln(table, "Name\tLocation\tSize\tCreated")
		for _, file := range done.Files {
			fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", file.Name, file.Location, file.Size, file.Created.Format(time.RFC3339))
		}
		return table.Flush()
	case "json":
		encoded, err = json.Marshal(done.Files)
		encoded = append(encoded, '\n')
	case "yaml":
		encoded, err = yaml.Marshal(done.Files)
	default:
		return fmt.Errorf("invalid output format: %s", format)
	}
	if err == nil {
		_, err = call.Stdout.Write(encoded)
	}
	return err
}

// ask lets the running server do the work.
func ask(ctx context.Context, call *verb.Call, asked request) (answer, error) {
	asked.Dir = call.Flags.String("dir")
	server, err := token.Local(ctx, call.DataDir, call.Flags.String("etcd-server"), call.Flags.String("etcd-token"))
	if err != nil {
		return answer{}, err
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return answer{}, err
	}
	content, err := server.Put(ctx, Path, body)
	if err != nil {
		return answer{}, fmt.Errorf("failed to %s etcd snapshot: %w", asked.Operation, err)
	}
	var done answer
	return done, json.Unmarshal(content, &done)
}
