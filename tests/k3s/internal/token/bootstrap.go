// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package token

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

const (
	secretPrefix = "bootstrap-token-"
	secretType   = v1.SecretType("bootstrap.kubernetes.io/token")
	groupPrefix  = "system:bootstrappers:"
	usagePrefix  = "usage-bootstrap-"
)

var bootstrapID = regexp.MustCompile(`^[a-z0-9]{6}$`)

// Bootstrap is a bootstrap token as Kubernetes keeps it, in a Secret that its controllers know.
type Bootstrap struct {
	Token       string     `json:"token"`
	Description string     `json:"description,omitempty"`
	Expires     *time.Time `json:"expires,omitempty"`
	Usages      []string   `json:"usages,omitempty"`
	Groups      []string   `json:"groups,omitempty"`
}

func (b Bootstrap) store(ctx context.Context, secrets corev1.SecretInterface) error {
	id, secret, _ := strings.Cut(b.Token, ".")
	data := map[string]string{"token-id": id, "token-secret": secret}
	if b.Description != "" {
		data["description"] = b.Description
	}
	if b.Expires != nil {
		data["expiration"] = b.Expires.Format(time.RFC3339)
	}
	for _, usage := range b.Usages {
		if usage != "signing" && usage != "authentication" {
			return fmt.Errorf("invalid bootstrap token usage string: %s, valid usage options: signing, authentication", usage)
		}
		data[usagePrefix+usage] = "true"
	}
	for _, group := range b.Groups {
		if !strings.HasPrefix(group, groupPrefix) {
			return fmt.Errorf("invalid group %q: bootstrap groups must begin with %s", group, groupPrefix)
		}
	}
	if len(b.Groups) > 0 {
		data["auth-extra-groups"] = strings.Join(b.Groups, ",")
	}
	_, err := secrets.Create(ctx, &v1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: secretPrefix + id, Namespace: metav1.NamespaceSystem},
		Type:       secretType,
		StringData: data,
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("a token with id %q already exists", id)
	}
	return err
}

func deleteBootstrap(ctx context.Context, secrets corev1.SecretInterface, id string) error {
	err := secrets.Delete(ctx, secretPrefix+id, metav1.DeleteOptions{})
	if err != nil {
		return fmt.Errorf("failed to delete bootstrap token %q: %w", id, err)
	}
	return nil
}

func listBootstraps(ctx context.Context, secrets corev1.SecretInterface) ([]Bootstrap, error) {
	found, err := secrets.List(ctx, metav1.ListOptions{FieldSelector: "type=" + string(secretType)})
	if err != nil {
		return nil, err
	}
	all := []Bootstrap{}
	for index := range found.Items {
		all = append(all, fromSecret(&found.Items[index]))
	}
	return all, nil
}

func fromSecret(secret *v1.Secret) Bootstrap {
	text := func(name string) string { return string(secret.Data[name]) }
	known := Bootstrap{Token: text("token-id") + "." + text("token-secret"), Description: text("description")}
	if at, err := time.Parse(time.RFC3339, text("expiration")); err == nil {
		known.Expires = &at
	}
	for _, usage := range []string{"authentication", "signing"} {
		if text(usagePrefix+usage) == "true" {
			known.Usages = append(known.Usages, usage)
		}
	}
	if groups := text("auth-extra-groups"); groups != "" {
		known.Groups = strings.Split(groups, ",")
	}
	return known
}
