package preflight

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of what kustomize is given. It trusts its input: aliases that multiply, or contain themselves, would end the
// process.
const (
	maxObjects    = 500     // of an artifact
	maxNodes      = 400_000 // of all YAML that is read, with aliases replaced
	maxReferences = 2_000   // of all kustomization files
	maxFolders    = 200     // visits of folders with a kustomization file
)

// separator is what kustomize takes for the border of two documents.
var separator = regexp.MustCompile(`\n---.*\n`)

// yamlLine finds the line in an error of the YAML parser.
var yamlLine = regexp.MustCompile(`line (\d+)`)

// bounds are what is left of the bounds.
type bounds struct{ objects, nodes, references, folders int }

func newBounds() *bounds {
	return &bounds{objects: maxObjects, nodes: maxNodes, references: maxReferences, folders: maxFolders}
}

// fault is what is wrong with a text, and where.
type fault struct {
	line int // from 1; 0: not known
	why  string
}

// at is "service.yaml:3: <why>".
func (f fault) at(file string) string {
	if f.line > 0 {
		file += ":" + strconv.Itoa(f.line)
	}
	return file + ": " + f.why
}

// read looks at a text that kustomize will read as YAML; nil when it can. objects says whether the documents are objects.
func (b *bounds) read(text string, objects bool) *fault {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	line, from := 0, 0
	for _, border := range append(separator.FindAllStringIndex(text, -1), []int{len(text), len(text)}) {
		if found := b.documents(text[from:border[0]]+"\n", line, objects); found != nil {
			return found
		}
		line += strings.Count(text[from:border[1]], "\n")
		from = border[1]
	}
	return nil
}

// documents looks at what kustomize takes for one document. line is how many lines are before it.
func (b *bounds) documents(text string, line int, objects bool) *fault {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return unreadable(err, line)
		}
		if found := b.document(&document, line, objects); found != nil {
			return found
		}
	}
}

func (b *bounds) document(document *yaml.Node, line int, objects bool) *fault {
	size, cause := expanded(document, b.nodes, map[*yaml.Node]bool{})
	if b.nodes -= size; cause != nil {
		return &fault{line: line + cause.Line, why: "its aliases, or it and the files before it, come to too much; write them out, or make it smaller"}
	}
	// What kustomize cannot write as JSON ends it.
	var value any
	if err := document.Decode(&value); err != nil {
		return unreadable(err, line)
	}
	if _, err := json.Marshal(value); err != nil {
		return &fault{line: line + document.Line, why: fmt.Sprintf("it has what JSON cannot have, such as keys that are no texts: %v", err)}
	}
	if !objects || value == nil {
		return nil
	}
	if what := lacks(value); what != "" {
		return &fault{line: line + document.Line, why: "it is no Kubernetes object: it has no " + what}
	}
	if b.objects -= count(value); b.objects < 0 {
		return &fault{line: line + document.Line, why: fmt.Sprintf("the artifact has more than %d objects", maxObjects)}
	}
	return nil
}

// count is how many objects a document is.
func count(value any) int {
	object, _ := value.(map[string]any)
	if items, ok := object["items"].([]any); ok {
		return len(items)
	}
	return 1
}

// lacks is the first field that a document lacks as an object; "" when it has all.
func lacks(value any) string {
	object, _ := value.(map[string]any)
	if _, list := object["items"].([]any); list {
		return "" // kustomize looks at each of them
	}
	metadata, _ := object["metadata"].(map[string]any)
	for _, field := range []struct {
		name  string
		value any
	}{{"apiVersion", object["apiVersion"]}, {"kind", object["kind"]}, {"metadata.name", metadata["name"]}} {
		if text, _ := field.value.(string); text == "" {
			return field.name
		}
	}
	return ""
}

func unreadable(err error, line int) *fault {
	why := strings.TrimPrefix(err.Error(), "yaml: ")
	found := yamlLine.FindStringSubmatchIndex(why)
	if found == nil {
		return &fault{why: "it cannot be read as YAML: " + why}
	}
	at, _ := strconv.Atoi(why[found[2]:found[3]])
	why = strings.TrimPrefix(why[:found[0]]+strings.TrimPrefix(why[found[1]:], ": "), "unmarshal errors:\n  ")
	return &fault{line: line + at, why: "it cannot be read as YAML: " + why}
}

// expanded is how many nodes a node is with its aliases replaced. With the node at which that became more than most, or that
// contains itself.
func expanded(node *yaml.Node, most int, open map[*yaml.Node]bool) (int, *yaml.Node) {
	if node.Kind == yaml.AliasNode {
		if open[node.Alias] {
			return most, node
		}
		size, cause := expanded(node.Alias, most, open)
		if cause != nil {
			cause = node
		}
		return size, cause
	}
	open[node] = true
	defer delete(open, node)
	size := 1
	for _, each := range node.Content {
		more, cause := expanded(each, most-size, open)
		if size += more; cause != nil {
			return size, cause
		}
		if size > most {
			return size, each
		}
	}
	return size, nil
}
