// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package crictl

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"
)

func names() []string {
	var all []string
	for name := range commands {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func usage(out io.Writer) {
	fmt.Fprint(out, "USAGE:\n   crictl [global options] command [command options] [arguments...]\n\nCOMMANDS (of the stand-in):\n")
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, name := range names() {
		fmt.Fprintf(table, "   %s\t%s\n", name, commands[name].usage)
	}
	table.Flush()
}

// options are the flags of all list commands; each command names those that it has.
type options struct {
	all, quiet, noTrunc, verbose, force, follow, timestamps, unused bool
	output, name, namespace, image, pod, state, label, id           string
	tail                                                            int64
	last                                                            int
	grace                                                           int64
}

// spellings are the flags by the field that they set.
func (o *options) define(flags *flag.FlagSet, wanted ...string) {
	switches := map[string]*bool{
		"all": &o.all, "a": &o.all, "quiet": &o.quiet, "q": &o.quiet, "no-trunc": &o.noTrunc, "verbose": &o.verbose, "v": &o.verbose,
		"force": &o.force, "f": &o.force, "follow": &o.follow, "timestamps": &o.timestamps, "prune": &o.unused,
	}
	texts := map[string]*string{
		"output": &o.output, "o": &o.output, "name": &o.name, "namespace": &o.namespace, "image": &o.image, "pod": &o.pod, "p": &o.pod,
		"state": &o.state, "s": &o.state, "label": &o.label, "id": &o.id,
	}
	for _, name := range wanted {
		switch {
		case switches[name] != nil:
			flags.BoolVar(switches[name], name, false, "")
		case texts[name] != nil:
			flags.StringVar(texts[name], name, "", "")
		case name == "tail":
			flags.Int64Var(&o.tail, name, -1, "")
		case name == "last" || name == "n":
			flags.IntVar(&o.last, name, 0, "")
		case name == "timeout" || name == "t":
			flags.Int64Var(&o.grace, name, 10, "")
		default:
			panic("crictl has no flag " + name)
		}
	}
}

// parse reads flags and arguments in any order, as crictl does.
func parse(name string, arguments []string, wanted ...string) (options, []string, error) {
	var o options
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o.define(flags, wanted...)
	var rest []string
	for {
		if err := flags.Parse(arguments); err != nil {
			return o, nil, fmt.Errorf("%s: %w (its flags are: %s)", name, err, strings.Join(wanted, ", "))
		}
		if flags.NArg() == 0 {
			break
		}
		rest = append(rest, flags.Arg(0))
		arguments = flags.Args()[1:]
	}
	if !slices.Contains([]string{"", "json", "yaml", "table"}, o.output) {
		return o, nil, fmt.Errorf("unsupported output format %q: json, yaml or table", o.output)
	}
	return o, rest, nil
}

// show prints a message as JSON or YAML.
func (t *tool) show(message proto.Message, format string) error {
	encoded, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(message)
	if err != nil {
		return err
	}
	return t.print(encoded, format)
}

func (t *tool) print(encoded []byte, format string) error {
	var value any
	err := json.Unmarshal(encoded, &value)
	if err != nil {
		return err
	}
	if format == "yaml" {
		encoded, err = yaml.Marshal(value)
	} else {
		encoded, err = json.MarshalIndent(value, "", "  ")
	}
	if err == nil {
		fmt.Fprintln(t.out, strings.TrimRight(string(encoded), "\n"))
	}
	return err
}

func (t *tool) table(header string, rows [][]string) error {
	table := tabwriter.NewWriter(t.out, 20, 1, 3, ' ', 0)
	fmt.Fprintln(table, header)
	for _, row := range rows {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}

// short cuts an id as crictl does.
func short(id string, whole bool) string {
	id = strings.TrimPrefix(id, "sha256:")
	if !whole && len(id) > 13 {
		return id[:13]
	}
	return id
}

// ago tells how long ago something was, in one rough number.
func ago(at int64) string {
	passed := time.Since(time.Unix(0, at))
	count := func(number int, unit string) string {
		if number == 1 {
			return "1 " + unit + " ago"
		}
		return fmt.Sprintf("%d %ss ago", number, unit)
	}
	switch {
	case passed < time.Second:
		return "Less than a second ago"
	case passed < time.Minute:
		return count(int(passed.Seconds()), "second")
	case passed < time.Hour:
		return count(int(passed.Minutes()), "minute")
	case passed < 48*time.Hour:
		return count(int(passed.Hours()), "hour")
	}
	return count(int(passed.Hours()/24), "day")
}

// size prints bytes in powers of 1000.
func size(bytes uint64) string {
	value, unit := float64(bytes), 0
	units := []string{"B", "kB", "MB", "GB", "TB"}
	for value >= 1000 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	return strings.Replace(fmt.Sprintf("%.3g%s", value, units[unit]), "e+03", "000", 1)
}
