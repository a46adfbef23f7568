// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func values() Values {
	images := map[string]string{}
	for _, name := range []string{"coredns", "metrics-server", "local-path-provisioner", "local-path-helper"} {
		images[name] = "registry.example.org/" + name + ":1"
	}
	return Values{
		ClusterDomain: "cluster.local", ClusterDNS: "10.43.0.10", IPFamilyPolicy: "SingleStack",
		DefaultLocalStoragePath: "/data/storage", KubeletAddressTypes: "InternalIP", CipherSuites: "A,B", Images: images,
	}
}

func TestPackagedManifestsAreObjects(t *testing.T) {
	dir := t.TempDir()
	if err := Stage(dir, values(), nil); err != nil {
		t.Fatal(err)
	}
	files := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		objects, err := parseObjects(content)
		relative, _ := filepath.Rel(dir, path)
		files[relative] = len(objects)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"coredns.yaml", "local-storage.yaml", "rolebindings.yaml", "metrics-server/metrics-apiservice.yaml"} {
		if files[name] == 0 {
			t.Errorf("%s is missing or empty: %v", name, files)
		}
	}
	content, err := os.ReadFile(filepath.Join(dir, "coredns.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{`image: "registry.example.org/coredns:1"`, `clusterIP: "10.43.0.10"`, "kubernetes cluster.local in-addr.arpa"} {
		if !strings.Contains(string(content), wanted) {
			t.Errorf("coredns.yaml lacks %s", wanted)
		}
	}
}

func TestDisabledManifestsAreNotWritten(t *testing.T) {
	dir := t.TempDir()
	if err := Stage(dir, values(), map[string]bool{"metrics-server": true, "coredns": true}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"coredns.yaml": false, "metrics-server": false, "local-storage.yaml": true} {
		_, err := os.Stat(filepath.Join(dir, name))
		if (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnImageWithoutAPayloadIsAnError(t *testing.T) {
	incomplete := values()
	delete(incomplete.Images, "coredns")
	if err := Stage(t.TempDir(), incomplete, nil); err == nil || !strings.Contains(err.Error(), `no image "coredns"`) {
		t.Errorf("got %v", err)
	}
}

func TestAnotherRegistryReplacesTheFirst(t *testing.T) {
	for reference, want := range map[string]string{
		"registry.example.org/a:1":   "own:5000/a:1",
		"registry.example.org/a/b:1": "own:5000/a/b:1",
		"localhost/a:1":              "own:5000/a:1",
		"rancher/a:1":                "own:5000/rancher/a:1",
	} {
		if got := WithRegistry(reference, "own:5000"); got != want {
			t.Errorf("%s: got %s", reference, got)
		}
		if got := WithRegistry(reference, ""); got != reference {
			t.Errorf("%s: got %s", reference, got)
		}
	}
}

func TestFilesAreDisabledByNameOrFolder(t *testing.T) {
	disabled := map[string]bool{"metrics-server": true, "own": true}
	for path, want := range map[string]bool{
		"metrics-server/service.yaml": true, "own.yaml": true, "own.yml": true, "other.yaml": false,
		"deep/metrics-server/x.json": true, "not-own.yaml": false,
	} {
		if got := isDisabled(path, disabled); got != want {
			t.Errorf("%s: got %v", path, got)
		}
	}
}

func TestManifestsAreReadWhateverTheirForm(t *testing.T) {
	cases := map[string]struct {
		content string
		kinds   []string
	}{
		"yaml with empty documents": {"---\n---\n# nothing\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", []string{"ConfigMap"}},
		"json":                      {`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}`, []string{"Secret"}},
		"a list": {
			"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- {apiVersion: v1, kind: Namespace, metadata: {name: space}}\n",
			[]string{"Namespace", "ConfigMap"},
		},
		"definitions first": {
			"apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: a}\n---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.org}\n",
			[]string{"CustomResourceDefinition", "Thing"},
		},
	}
	for name, one := range cases {
		t.Run(name, func(t *testing.T) {
			objects, err := parseObjects([]byte(one.content))
			if err != nil {
				t.Fatal(err)
			}
			var kinds []string
			for _, object := range objects {
				kinds = append(kinds, object.GetKind())
			}
			if !slices.Equal(kinds, one.kinds) {
				t.Errorf("got %v", kinds)
			}
		})
	}
	for _, broken := range []string{"a: [", "kind: ConfigMap\n", "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n", "just words"} {
		if _, err := parseObjects([]byte(broken)); err == nil {
			t.Errorf("%q was accepted", broken)
		}
	}
}

func TestKindsSurviveTheirText(t *testing.T) {
	for _, text := range []string{"v1, Kind=Service", "apps/v1, Kind=Deployment"} {
		kind, ok := parseKind(text)
		if !ok || formatKind(kind) != text {
			t.Errorf("%s became %v", text, kind)
		}
	}
	if _, ok := parseKind(""); ok {
		t.Error("nothing is no kind")
	}
}

func TestOnlyManifestsAreLookedAt(t *testing.T) {
	for name, want := range map[string]bool{
		"/m/a.yaml": true, "/m/a.YML": true, "/m/a.json": true, "/m/a.yaml.skip": false, "/m/.a.yaml": false, "/m/readme": false,
	} {
		if got := isManifest(name); got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
