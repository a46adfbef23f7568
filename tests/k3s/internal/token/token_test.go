// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package token

import (
	"errors"
	"strings"
	"testing"
)

func TestTokensInAllFormsAreRead(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for name, example := range map[string]struct {
		text string
		want Token
		err  error
	}{
		"short":                      {"secret", Token{Password: "secret"}, nil},
		"short with colons":          {"a:b::c", Token{Password: "a:b::c"}, nil},
		"full":                       {"K10" + hash + "::server:secret", Token{CAHash: hash, Username: "server", Password: "secret"}, nil},
		"full with colons":           {"K10" + hash + "::node:a:b::c", Token{CAHash: hash, Username: "node", Password: "a:b::c"}, nil},
		"full without hash":          {"K10::server:secret", Token{Username: "server", Password: "secret"}, nil},
		"bootstrap":                  {"abcdef.0123456789abcdef", Token{BootstrapID: "abcdef", BootstrapSecret: "0123456789abcdef"}, nil},
		"bootstrap with hash":        {"K10" + hash + "::abcdef.0123456789abcdef", Token{CAHash: hash, BootstrapID: "abcdef", BootstrapSecret: "0123456789abcdef"}, nil},
		"empty":                      {"", Token{}, ErrEmpty},
		"short hash":                 {"K10abc::server:secret", Token{}, ErrHashLength},
		"no password":                {"K10" + hash + "::server:", Token{}, ErrFormat},
		"no user":                    {"K10" + hash + "::secret", Token{}, ErrFormat},
		"prefix without credentials": {"K10secret", Token{}, ErrFormat},
	} {
		got, err := Parse(example.text)
		if got != example.want || !errors.Is(err, example.err) {
			t.Errorf("%s: got %+v, %v; want %+v, %v", name, got, err, example.want, example.err)
		}
	}
}

func TestServerTokenMustCarryAPassword(t *testing.T) {
	const want = "failed to normalize server token; must be in format K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>"
	if _, err := ServerPassword("abcdef.0123456789abcdef"); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	full, err := ServerPassword("K10" + strings.Repeat("0", 64) + "::server:secret")
	short, shortErr := ServerPassword("secret")
	if err != nil || shortErr != nil || full != short {
		t.Errorf("short and full form give %q (%v) and %q (%v)", short, shortErr, full, err)
	}
}

func TestUsersSurviveTheFile(t *testing.T) {
	users := Users{ServerPassword: `a,"b" c`, AgentPassword: "agent"}
	read, err := ParseUsers(users.Encode())
	if err != nil || read != users {
		t.Fatalf("got %+v, %v", read, err)
	}
	for _, example := range []struct {
		name, password string
		role           Role
	}{
		{"server", `a,"b" c`, RoleServer},
		{"node", "agent", RoleAgent},
		{"node", `a,"b" c`, RoleAgent},
		{"server", "agent", ""},
		{"admin", "agent", ""},
		{"node", "", ""},
	} {
		if role, ok := users.Check(example.name, example.password); role != example.role || ok != (example.role != "") {
			t.Errorf("%s with %q: %q, %v", example.name, example.password, role, ok)
		}
	}
}

func TestUserFilesWithoutBothUsersAreRefused(t *testing.T) {
	for _, content := range []string{"", "a,node,node,k3s:agent\n", "a,b\n", "\"a,node\n"} {
		if _, err := ParseUsers([]byte(content)); err == nil {
			t.Errorf("%q was taken", content)
		}
	}
}

func TestMadeBootstrapTokensHaveTheRightForm(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		text, err := newBootstrap()
		if err != nil {
			t.Fatal(err)
		}
		if !bootstrapForm.MatchString(text) || seen[text] {
			t.Fatalf("%q", text)
		}
		seen[text] = true
	}
}
