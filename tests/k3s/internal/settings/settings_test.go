// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package settings

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast.internal/k3s/internal/flags"
	"holdfast.internal/k3s/internal/unpack"
)

func server(t *testing.T, arguments ...string) (*Settings, error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("servers are root's, and so is this test")
	}
	arguments = append([]string{"--node-ip=192.0.2.7", "--node-name=n1"}, arguments...)
	set, _, err := flags.Parse("server", arguments, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	unpacked := &unpack.Unpacked{Payload: unpack.Payload{Images: map[string]string{"pause": "example.org/pause:1"}}}
	return Server(context.Background(), Source{Flags: set, Unpacked: unpacked, DataDir: t.TempDir()})
}

func TestAServersDefaultsAreTheContracts(t *testing.T) {
	s, err := server(t)
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]any{
		"cluster-cidr":   {s.ClusterCIDRs[0].String(), "10.42.0.0/16"},
		"service-cidr":   {s.ServiceCIDRs[0].String(), "10.43.0.0/16"},
		"cluster-dns":    {s.ClusterDNS[0].String(), "10.43.0.10"},
		"apiserver-port": {s.APIServerPort, 6444},
		"advertise":      {s.AdvertiseIP.String(), "192.0.2.7"},
		"kubeconfig":     {s.KubeconfigMode, "0600"},
		"pause image":    {s.PauseImage, "example.org/pause:1"},
		"san security":   {s.TLSSANSecurity, true},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %v, want %v", name, pair[0], pair[1])
		}
	}
}

func TestWhatAServerCannotTakeEndsWithTheContractsSentence(t *testing.T) {
	for argument, want := range map[string]string{
		"--cluster-cidr=x":                "invalid cluster-cidr x: ",
		"--service-cidr=10.0.0.0/99":      "invalid service-cidr 10.0.0.0/99: ",
		"--cluster-dns=x":                 "invalid cluster-dns address x",
		"--service-node-port-range=9-1":   "invalid port range 9-1: ",
		"--service-node-port-range=a":     "invalid port range a: ",
		"--egress-selector-mode=x":        "invalid egress-selector-mode x",
		"--cluster-cidr=fd00::/56":        "cluster-cidr: [fd00::/56] and node-ip: [192.0.2.7], must share the same IP version",
		"--flannel-iface=no-such0":        "",
		"--service-node-port-range=1-70k": "invalid port range 1-70k: ",
	} {
		_, err := server(t, argument)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", argument, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s…", argument, err, want)
		}
	}
	_, err := server(t, "--datastore-endpoint=https://a:2379,https://b:2379", "--disable-etcd")
	if err == nil || err.Error() != "invalid flag use; cannot use --disable-etcd with --datastore-endpoint" {
		t.Errorf("got %v", err)
	}
}

func TestListsThatSplitThemselvesAreSplitAndOthersAreNot(t *testing.T) {
	s, err := server(t, "--tls-san=a,b", "--tls-san=c", "--disable=traefik,coredns", "--kubelet-arg=x=1,2",
		"--datastore-endpoint=https://a:2379,https://b:2379")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(s.TLSSANs, " ") != "a b c" || !s.Disabled("coredns") || len(s.KubeletArgs) != 1 || len(s.Datastore.Endpoints) != 2 {
		t.Errorf("%v %v %v %v", s.TLSSANs, s.Disable, s.KubeletArgs, s.Datastore.Endpoints)
	}
}

func TestAnAgentNeedsATokenAndAnHTTPSServer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("agents are root's, and so is this test")
	}
	for arguments, want := range map[string]string{
		"":                               "--token is required",
		"--token=x":                      "--server is required",
		"--token=x --server=http://a:64": "only https:// URLs are supported, invalid scheme: http://a:64",
	} {
		set, _, err := flags.Parse("agent", strings.Fields(arguments), func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatal(err)
		}
		_, err = Agent(context.Background(), Source{Flags: set, Unpacked: &unpack.Unpacked{}, DataDir: t.TempDir()})
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", arguments, err, want)
		}
	}
}

func TestATokenFileIsReadWithoutItsLineEndAndAnUnreadableOneIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := secret(context.Background(), "", path); err != nil || got != "abc" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := secret(context.Background(), "", filepath.Dir(path)); err == nil {
		t.Error("a folder was read as a token")
	}
}

func TestTheNthAddressStaysInItsNetwork(t *testing.T) {
	for cidr, want := range map[string]string{
		"10.43.0.0/16": "10.43.0.10", "10.43.0.250/16": "10.43.0.10", "fd00:43::/112": "fd00:43::a", "10.0.0.0/29": "<nil>",
	} {
		_, network, _ := net.ParseCIDR(cidr)
		if got := Nth(network, 10).String(); got != want {
			t.Errorf("%s: %s, want %s", cidr, got, want)
		}
	}
}
