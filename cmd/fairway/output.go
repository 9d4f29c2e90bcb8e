package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// format is the value of -o.
type format string

const (
	formatTable format = "table"
	formatWide  format = "wide"
	formatName  format = "name"
	formatJSON  format = "json"
	formatYAML  format = "yaml"
)

var listFormats = []format{formatTable, formatWide, formatName, formatJSON, formatYAML}

// output is how a verb was asked to print.
type output struct {
	format    format
	allowed   []format
	noHeaders bool
}

func (o *output) addFlags(cmd *cobra.Command, allowed ...format) {
	o.format, o.allowed = allowed[0], allowed
	cmd.Flags().VarP(o, "output", "o", "One of "+o.choices())
	if slices.Contains(allowed, formatTable) {
		cmd.Flags().BoolVar(&o.noHeaders, "no-headers", false, "Print the table without its head")
	}
	names := strings.Split(o.choices(), "|")
	complete(cmd, "output", func() []string { return names })
}

// String, Set and Type make output a flag value that refuses unknown formats.
func (o *output) String() string { return string(o.format) }
func (o *output) Type() string   { return "format" }
func (o *output) Set(value string) error {
	if !slices.Contains(o.allowed, format(value)) {
		return fmt.Errorf("use one of %s", o.choices())
	}
	o.format = format(value)
	return nil
}

func (o *output) choices() string {
	var names []string
	for _, f := range o.allowed {
		names = append(names, string(f))
	}
	return strings.Join(names, "|")
}

// document is a list in every form that it can be printed in.
type document struct {
	body  any      // json, yaml
	names []string // name
	table table
}

func (o *output) print(w io.Writer, sh *shell, d document) error {
	switch o.format {
	case formatJSON:
		return writeJSON(w, d.body, "  ")
	case formatYAML:
		return writeYAML(w, d.body)
	case formatName:
		for _, name := range d.names {
			if _, err := fmt.Fprintln(w, clean(name)); err != nil {
				return err
			}
		}
		return nil
	}
	return d.table.write(w, sh, o.format == formatWide, !o.noHeaders)
}

func writeJSON(w io.Writer, body any, indent string) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	return enc.Encode(body)
}

func writeYAML(w io.Writer, body any) error {
	text, err := yaml.Marshal(body)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}
