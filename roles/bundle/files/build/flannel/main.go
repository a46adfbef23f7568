// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Command flanneld runs flannel's own library on one Kubernetes node. Upstream's own command wants modules that no
// registry serves (a cloud's SDK) for backends that nobody here uses; this one has vxlan, host-gw and wireguard, keeps
// its leases in Node objects, and knows the few flags of upstream's that matter then, by the same names.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/flannel-io/flannel/pkg/backend"
	_ "github.com/flannel-io/flannel/pkg/backend/hostgw"
	_ "github.com/flannel-io/flannel/pkg/backend/vxlan"
	_ "github.com/flannel-io/flannel/pkg/backend/wireguard"
	"github.com/flannel-io/flannel/pkg/ipmatch"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/flannel-io/flannel/pkg/subnet/kube"
	"k8s.io/klog/v2"
)

// version is set by the linker.
var version = "unknown"

type options struct {
	kubeconfig, netConf, subnetFile   string
	iface, publicIP, publicIPv6       string
	ipMasq, forwardRules, networkFlag bool
	resync                            int
	annotationPrefix, healthzIP       string
	healthzPort                       int
}

func main() {
	var o options
	flags := flag.NewFlagSet("flanneld", flag.ExitOnError)
	klog.InitFlags(flags)
	flags.StringVar(&o.kubeconfig, "kubeconfig-file", "", "how to reach the apiserver")
	flags.StringVar(&o.netConf, "net-config-path", "/etc/kube-flannel/net-conf.json", "the cluster's network and its backend")
	flags.StringVar(&o.subnetFile, "subnet-file", "/run/flannel/subnet.env", "where the CNI plugin finds this node's subnet")
	flags.StringVar(&o.iface, "iface", "", "interface, by name or address, that leads to the other nodes; the default route's if empty")
	flags.StringVar(&o.publicIP, "public-ip", "", "IPv4 address that the other nodes send to")
	flags.StringVar(&o.publicIPv6, "public-ipv6", "", "IPv6 address that the other nodes send to")
	flags.BoolVar(&o.ipMasq, "ip-masq", false, "masquerade what leaves the pod network")
	flags.BoolVar(&o.forwardRules, "iptables-forward-rules", true, "accept forwarded packets of the pod network")
	flags.IntVar(&o.resync, "iptables-resync", 5, "seconds between two looks at the rules")
	flags.StringVar(&o.annotationPrefix, "kube-annotation-prefix", "flannel.alpha.coreos.com", "prefix of the annotations that hold the leases")
	flags.BoolVar(&o.networkFlag, "set-node-network-unavailable", true, "clear the Node's condition NetworkUnavailable")
	flags.StringVar(&o.healthzIP, "healthz-ip", "127.0.0.1", "address of /healthz and /readyz")
	flags.IntVar(&o.healthzPort, "healthz-port", 0, "port of /healthz and /readyz, 0 for none")
	flags.Bool("kube-subnet-mgr", true, "always on; accepted because upstream's flanneld needs it")
	show := flags.Bool("version", false, "print the version and end")
	_ = flags.Parse(os.Args[1:])
	if *show {
		fmt.Println(version)
		return
	}
	if o.kubeconfig == "" || flags.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "flanneld: --kubeconfig-file is needed, and nothing but flags")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil && ctx.Err() == nil {
		klog.Errorf("flanneld: %v", err)
		klog.Flush()
		os.Exit(1)
	}
}

// run sets the network up, tells the CNI plugin of it, and follows the other nodes until ctx ends.
func run(ctx context.Context, o options) error {
	ready := &atomic.Bool{}
	if err := serveHealth(ctx, o, ready); err != nil {
		return err
	}
	manager, err := kube.NewSubnetManager(ctx, "", o.kubeconfig, o.annotationPrefix, o.netConf, o.networkFlag)
	if err != nil {
		return fmt.Errorf("the Nodes cannot be read: %w", err)
	}
	config, err := manager.GetNetworkConfig(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", o.netConf, err)
	}
	outside, err := outsideInterface(o, config)
	if err != nil {
		return err
	}
	klog.Infof("Using interface %s with addresses %s %s", outside.Iface.Name, outside.IfaceAddr, outside.IfaceV6Addr)

	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil) // what the backend started must end before Wait above can
	made, err := backend.NewManager(ctx, manager, outside).GetBackend(config.BackendType)
	if err != nil {
		return err
	}
	network, err := made.RegisterNetwork(ctx, &running, config)
	if err != nil {
		return fmt.Errorf("backend %s: %w", config.BackendType, err)
	}
	if err := applyRules(ctx, o, config, network); err != nil {
		return err
	}
	lease := network.Lease()
	if err := manager.HandleSubnetFile(o.subnetFile, config, o.ipMasq, lease.Subnet, lease.IPv6Subnet, network.MTU()); err != nil {
		return fmt.Errorf("%s: %w", o.subnetFile, err)
	}
	ready.Store(true)
	klog.Infof("Wrote %s; backend %s runs with lease %s %s", o.subnetFile, config.BackendType, lease.Subnet, lease.IPv6Subnet)
	running.Go(func() {
		network.Run(ctx)
		cancel(errors.New("the backend ended"))
	})
	if err := manager.CompleteLease(ctx, lease, &running); err != nil {
		return fmt.Errorf("the Node's network condition: %w", err)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// outsideInterface finds the interface whose address becomes this node's end of the tunnels.
func outsideInterface(o options, config *subnet.Config) (*backend.ExternalInterface, error) {
	family, err := ipmatch.GetIPFamily(config.EnableIPv4, config.EnableIPv6)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.netConf, err)
	}
	public := ipmatch.PublicIPOpts{PublicIP: o.publicIP, PublicIPv6: o.publicIPv6}
	found, err := ipmatch.LookupExtIface(o.iface, "", "", family, public)
	if err != nil {
		return nil, fmt.Errorf("no interface for the pod network: %w", err)
	}
	return found, nil
}

// serveHealth answers on the health port, if one is wanted. A port that is taken is an error of the start.
func serveHealth(ctx context.Context, o options, ready *atomic.Bool) error {
	if o.healthzPort == 0 {
		return nil
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(o.healthzIP, fmt.Sprint(o.healthzPort)))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintf(w, "ready: %t\n", ready.Load())
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			klog.Errorf("health port: %v", err)
		}
	}()
	return nil
}
