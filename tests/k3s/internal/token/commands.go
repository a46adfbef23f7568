// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package token

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"holdfast.internal/k3s/internal/verb"
	"holdfast.internal/k3s/internal/wire"
)

// Commands are the sub-commands of `token`.
var Commands = map[string]verb.Command{
	"create": create, "delete": remove, "generate": generate, "list": list, "rotate": rotate,
}

// defaultKubeconfig is the one that each server writes.
const defaultKubeconfig = "/etc/rancher/k3s/k3s.yaml"

// newBootstrap makes a random bootstrap token.
func newBootstrap() (string, error) {
	const idLength, secretLength = 6, 16
	text := make([]byte, 0, idLength+1+secretLength)
	for len(text) < cap(text) {
		if len(text) == idLength {
			text = append(text, '.')
			continue
		}
		next, err := randomLetter()
		if err != nil {
			return "", err
		}
		text = append(text, next)
	}
	return string(text), nil
}

// randomLetter draws evenly from the token alphabet.
func randomLetter() (byte, error) {
	const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
	// Bytes from the top of the range would make the first letters likelier than the others.
	const limit = 256 - 256%len(alphabet)
	for {
		var one [1]byte
		if _, err := rand.Read(one[:]); err != nil {
			return 0, err
		}
		if int(one[0]) < limit {
			return alphabet[int(one[0])%len(alphabet)], nil
		}
	}
}

func generate(_ context.Context, call *verb.Call) error {
	text, err := newBootstrap()
	if err == nil {
		_, err = fmt.Fprintln(call.Stdout, text)
	}
	return err
}

func create(ctx context.Context, call *verb.Call) error {
	text := ""
	if len(call.Args) > 0 {
		text = call.Args[0]
	} else if made, err := newBootstrap(); err != nil {
		return err
	} else {
		text = made
	}
	parsed, err := Parse(text)
	if err != nil || !parsed.IsBootstrap() {
		return fmt.Errorf("the bootstrap token %q was not of the form %q", text, bootstrapForm.String())
	}
	configuration, secrets, err := connect(call)
	if err != nil {
		return err
	}
	wanted := Bootstrap{
		Token:       parsed.Bootstrap(),
		Description: call.Flags.String("description"),
		Usages:      call.Flags.List("usages"),
		Groups:      call.Flags.List("groups"),
	}
	if len(wanted.Usages) == 0 {
		wanted.Usages = []string{"signing", "authentication"}
	}
	if lifetime := call.Flags.Duration("ttl"); lifetime > 0 {
		expires := time.Now().Add(lifetime).UTC().Truncate(time.Second)
		wanted.Expires = &expires
	}
	if err := wanted.store(ctx, secrets); err != nil {
		return err
	}
	full, err := FormatBootstrap(configuration.CAData, wanted.Token)
	if err != nil {
		return fmt.Errorf("the kubeconfig's CA: %w", err)
	}
	_, err = fmt.Fprintln(call.Stdout, full)
	return err
}

func remove(ctx context.Context, call *verb.Call) error {
	if len(call.Args) == 0 {
		return errors.New("missing argument; 'token delete' is missing token")
	}
	_, secrets, err := connect(call)
	if err != nil {
		return err
	}
	for _, given := range call.Args {
		id := given
		if parsed, err := Parse(given); err == nil && parsed.IsBootstrap() {
			id = parsed.BootstrapID
		} else if !bootstrapID.MatchString(given) {
			return fmt.Errorf("given token didn't match pattern %q or %q", bootstrapID.String(), bootstrapForm.String())
		}
		if err := deleteBootstrap(ctx, secrets, id); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(call.Stdout, "bootstrap token %q deleted\n", id); err != nil {
			return err
		}
	}
	return nil
}

func list(ctx context.Context, call *verb.Call) error {
	_, secrets, err := connect(call)
	if err != nil {
		return err
	}
	all, err := listBootstraps(ctx, secrets)
	if err != nil {
		return err
	}
	var content []byte
	switch format := call.Flags.String("output"); format {
	case "text":
		return writeList(call, all)
	case "json":
		content, err = json.MarshalIndent(all, "", "  ")
		content = append(content, '\n')
	case "yaml":
		content, err = yaml.Marshal(all)
	default:
		return fmt.Errorf("invalid output format %s", format)
	}
	if err == nil {
		_, err = call.Stdout.Write(content)
	}
	return err
}

func writeList(call *verb.Call, all []Bootstrap) error {
	writer := tabwriter.NewWriter(call.Stdout, 10, 4, 3, ' ', 0)
	fmt.Fprintln(writer, "TOKEN\tTTL\tEXPIRES\tUSAGES\tDESCRIPTION\tEXTRA GROUPS")
	for _, next := range all {
		left, expires := "<forever>", "<never>"
		if next.Expires != nil {
			left, expires = "<invalid>", next.Expires.Format(time.RFC3339)
			if remaining := time.Until(*next.Expires); remaining > 0 {
				left = remaining.Round(time.Second).String()
			}
		}
		fmt.Fprintf(writer, "%s\t%s\t%s\t%s\t%s\t%s\n", next.Token, left, expires,
			orNone(strings.Join(next.Usages, ",")), orNone(next.Description), orNone(strings.Join(next.Groups, ",")))
	}
	return writer.Flush()
}

func orNone(text string) string {
	if text == "" {
		return "<none>"
	}
	return text
}

func rotate(ctx context.Context, call *verb.Call) error {
	fresh := call.Flags.String("new-token")
	if fresh == "" {
		return errors.New("--new-token is required")
	}
	if _, err := ServerPassword(fresh); err != nil {
		return err
	}
	remote, err := Local(ctx, call.DataDir, call.Flags.String("server"), call.Flags.String("token"))
	if err != nil {
		return err
	}
	body, err := json.Marshal(RotateRequest{NewToken: fresh})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(call.Stdout,
		"WARNING: Recommended to keep a record of the old token. If restoring from a snapshot, you must use the token associated with that snapshot."); err != nil {
		return err
	}
	if _, err := remote.Put(ctx, wire.PathToken, body); err != nil {
		return fmt.Errorf("see server log for details: %w", err)
	}
	_, err = fmt.Fprintln(call.Stdout, "Token rotated, restart k3s nodes with new token")
	return err
}

// connect reads the kubeconfig that the operator named, else KUBECONFIG, else the server's own.
func connect(call *verb.Call) (*rest.Config, corev1.SecretInterface, error) {
	path := call.Flags.String("kubeconfig")
	if path == "" {
		path = defaultKubeconfig
	}
	if _, err := os.Stat(path); err != nil {
		return nil, nil, err
	}
	configuration, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, nil, err
	}
	if err := rest.LoadTLSFiles(configuration); err != nil {
		return nil, nil, err
	}
	client, err := corev1.NewForConfig(configuration)
	if err != nil {
		return nil, nil, err
	}
	return configuration, client.Secrets("kube-system"), nil
}
