// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package settings

import (
	"strings"
	"testing"
)

func TestTheAnnotationsShowNoSecret(t *testing.T) {
	s := &Settings{Common: Common{Arguments: []string{
		"server", "--token=hush", "-t", "hush", "--node-label", "a=b", "--datastore-endpoint=https://u:hush@e:2379", "--debug",
	}}}
	environment := []string{"K3S_TOKEN=hush", "K3S_NODE_NAME=n1", "PATH=/bin"}
	got, err := s.NodeAnnotations(environment)
	if err != nil {
		t.Fatal(err)
	}
	want := `["server","--token","********","-t","********","--node-label","a=b","--datastore-endpoint","********","--debug"]`
	if got["k3s.io/node-args"] != want {
		t.Errorf("node-args %s", got["k3s.io/node-args"])
	}
	if got["k3s.io/node-env"] != `{"K3S_NODE_NAME":"n1","K3S_TOKEN":"********"}` {
		t.Errorf("node-env %s", got["k3s.io/node-env"])
	}
	for name, value := range got {
		if strings.Contains(value, "hush") {
			t.Errorf("%s shows the secret: %s", name, value)
		}
	}
	environment[0] = "K3S_TOKEN=other"
	changed, err := s.NodeAnnotations(environment)
	if err != nil {
		t.Fatal(err)
	}
	if changed["k3s.io/node-config-hash"] == got["k3s.io/node-config-hash"] {
		t.Error("another token gives the same hash")
	}
}
