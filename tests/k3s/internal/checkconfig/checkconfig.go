// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package checkconfig looks at the kernel and the control groups of this host, as an operator does before installing.
package checkconfig

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Required are the kernel options without which no node works; Useful ones enable single features.
var (
	Required = []string{
		"NAMESPACES", "NET_NS", "PID_NS", "IPC_NS", "UTS_NS", "CGROUPS", "CGROUP_PIDS", "CGROUP_CPUACCT", "CGROUP_DEVICE",
		"CGROUP_FREEZER", "CGROUP_SCHED", "CPUSETS", "MEMCG", "KEYS", "VETH", "BRIDGE", "BRIDGE_NETFILTER", "IP_NF_FILTER",
		"IP_NF_TARGET_MASQUERADE", "NETFILTER_XT_MATCH_ADDRTYPE", "NETFILTER_XT_MATCH_CONNTRACK", "NETFILTER_XT_MATCH_COMMENT",
		"NETFILTER_XT_MATCH_MULTIPORT", "NF_NAT", "POSIX_MQUEUE", "OVERLAY_FS",
	}
	Useful = []string{"VXLAN", "WIREGUARD", "IP_SET", "IP_VS", "USER_NS", "SECCOMP", "CGROUP_HUGETLB", "CFS_BANDWIDTH", "INET_ESP"}
)

// Run prints one line a check and returns the number of failed ones.
func Run(out io.Writer) int {
	failed := 0
	report := func(name string, problem error) {
		if problem == nil {
			fmt.Fprintf(out, "- %s: good\n", name)
			return
		}
		failed++
		fmt.Fprintf(out, "- %s: %v (fail)\n", name, problem)
	}
	fmt.Fprintln(out, "System:")
	for _, tool := range []string{"iptables", "ip"} {
		_, err := exec.LookPath(tool)
		report(tool, err)
	}
	report("cgroup hierarchy", controlGroups())
	if swap, err := os.ReadFile("/proc/swaps"); err == nil && strings.Count(string(swap), "\n") > 1 {
		fmt.Fprintln(out, "- swap: enabled")
	} else {
		fmt.Fprintln(out, "- swap: disabled")
	}
	options, err := kernelOptions()
	if err != nil {
		fmt.Fprintf(out, "Kernel options: not readable (%v), so not checked\n", err)
		return failed
	}
	fmt.Fprintln(out, "Required kernel options:")
	for _, option := range Required {
		report("CONFIG_"+option, enabled(options, option))
	}
	fmt.Fprintln(out, "Optional kernel options:")
	for _, option := range Useful {
		state := "missing"
		if enabled(options, option) == nil {
			state = "enabled"
		}
		fmt.Fprintf(out, "- CONFIG_%s: %s\n", option, state)
	}
	return failed
}

func enabled(options map[string]string, option string) error {
	if options[option] == "" {
		return errors.New("missing")
	}
	return nil
}

func controlGroups() error {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return nil
	}
	for _, controller := range []string{"cpu", "cpuset", "memory", "pids"} {
		if _, err := os.Stat("/sys/fs/cgroup/" + controller); err != nil {
			return fmt.Errorf("no %s controller", controller)
		}
	}
	return nil
}

// kernelOptions reads the running kernel's configuration from the kernel itself or from the file beside it.
func kernelOptions() (map[string]string, error) {
	var name syscall.Utsname
	if err := syscall.Uname(&name); err != nil {
		return nil, err
	}
	var release strings.Builder
	for _, character := range name.Release {
		if character == 0 {
			break
		}
		release.WriteByte(byte(character))
	}
	file, err := os.Open("/proc/config.gz")
	if err == nil {
		defer file.Close()
		unzipped, err := gzip.NewReader(file)
		if err != nil {
			return nil, err
		}
		return parse(unzipped)
	}
	file, err = os.Open("/boot/config-" + release.String())
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parse(file)
}

func parse(text io.Reader) (map[string]string, error) {
	options := map[string]string{}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		if name, value, found := strings.Cut(lines.Text(), "="); found && strings.HasPrefix(name, "CONFIG_") {
			options[strings.TrimPrefix(name, "CONFIG_")] = value
		}
	}
	return options, lines.Err()
}
