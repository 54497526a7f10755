package web

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// schema is what this test reads of a schema of the document.
type schema struct {
	Ref        string            `json:"$ref"`
	Properties map[string]schema `json:"properties"`
	AllOf      []schema          `json:"allOf"`
}

type described struct {
	Info struct {
		Description string `json:"description"`
	} `json:"info"`
	Paths map[string]map[string]struct {
		Parameters []struct {
			Ref  string `json:"$ref"`
			Name string `json:"name"`
			In   string `json:"in"`
		} `json:"parameters"`
		RequestBody struct {
			Content map[string]struct {
				Schema schema `json:"schema"`
			} `json:"content"`
		} `json:"requestBody"`
		Responses map[string]any `json:"responses"`
	} `json:"paths"`
	Components struct {
		Parameters map[string]struct {
			Name string `json:"name"`
		} `json:"parameters"`
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

// fields are the names of what a schema has itself, or has of those that it consists of.
func (d *described) fields(s schema) (names []string) {
	for _, part := range s.AllOf {
		if part.Ref == "" {
			names = append(names, d.fields(part)...)
		}
	}
	return append(names, slices.Collect(maps.Keys(s.Properties))...)
}

// manual is docs/api.md.
type manual struct {
	text string
	rows map[string]string // of its tables: the first cell without its backquotes, and the others
}

func readManual(t *testing.T) *manual {
	t.Helper()
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	m := &manual{string(text), map[string]string{}}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)`[^|]* \\|(.*)\\|$").FindAllStringSubmatch(m.text, -1) {
		m.rows[row[1]] = row[2]
	}
	return m
}

// quoted are the words between backquotes, of several in one pair of them each.
func quoted(text string) (all []string) {
	for _, m := range regexp.MustCompile("`([\\w -]+)`").FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Fields(m[1])...)
	}
	return all
}

// same fails when two lists of names have not the same.
func same(t *testing.T, what string, manual, document []string) {
	t.Helper()
	slices.Sort(manual)
	slices.Sort(document)
	if manual, document = slices.Compact(manual), slices.Compact(document); !slices.Equal(manual, document) {
		t.Errorf("%s: the manual has\n%q, the document\n%q", what, manual, document)
	}
}

// What docs/api.md says of operations, parameters, fields and errors is what the served document says, and the other
// way round.
func TestTheManualOfTheAPIIsTheDocument(t *testing.T) {
	t.Parallel()
	var d described
	if err := json.Unmarshal(openAPI, &d); err != nil {
		t.Fatal(err)
	}
	m := readManual(t)
	var operations, manual, codes []string
	for path, item := range d.Paths {
		for method, o := range item {
			name := strings.ToUpper(method) + " " + strings.ReplaceAll(path, "{id}", "ID")
			operations = append(operations, name)
			codes = append(codes, slices.Collect(maps.Keys(o.Responses))...)
			var asked []string
			for _, p := range o.Parameters {
				switch {
				case p.In == "query":
					asked = append(asked, p.Name)
				case p.In == "header" && !strings.Contains(m.text, "`"+p.Name+"`"):
					t.Errorf("%s: the manual does not name the header %s", name, p.Name)
				}
			}
			list, body, _ := strings.Cut(m.rows[name], "`{")
			if len(asked) > 0 {
				same(t, "the parameters of "+name, quoted(strings.SplitN(list, ".", 2)[0]), asked)
			}
			var sent map[string]any
			text, _, posted := strings.Cut("{"+body, "}`")
			if posted && json.Unmarshal([]byte(text+"}"), &sent) != nil {
				t.Errorf("%s: the body in the manual is not JSON: %s", name, text)
			}
			same(t, "the body of "+name, slices.Collect(maps.Keys(sent)),
				d.fields(o.RequestBody.Content["application/json"].Schema))
		}
	}
	for name := range m.rows {
		if strings.Contains(name, " /api/") {
			manual = append(manual, name)
		}
	}
	same(t, "operations", manual, operations)
	for name, s := range d.Components.Schemas {
		same(t, "the fields of "+name, quoted(m.rows[name]), d.fields(s))
	}
	for _, p := range d.Components.Parameters {
		if !strings.Contains(m.text, "`"+p.Name) {
			t.Errorf("the manual does not name the header %s", p.Name)
		}
	}
	m.errors(t, &d, codes)
}

// errors compares what the manual and the document say of problems with those that the source has.
func (m *manual) errors(t *testing.T, d *described, codes []string) {
	t.Helper()
	var kinds, manual, written []string
	for name, cells := range m.rows {
		if strings.HasPrefix(name, "/") {
			kinds = append(kinds, name[1:])
			status, _, _ := strings.Cut(cells, "|")
			manual = append(manual, strings.Fields(strings.ReplaceAll(status, ",", " "))...)
		}
	}
	_, list, _ := strings.Cut(d.Info.Description, "the end of their type tells what it is: ")
	same(t, "kinds of errors", kinds, strings.Split(strings.TrimSuffix(list, "."), ", "))
	source, err := os.ReadFile("problem.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range regexp.MustCompile(`Type: "/([a-z-]+)"`).FindAllSubmatch(source, -1) {
		written = append(written, string(kind[1]))
	}
	same(t, "kinds of errors, in the source", kinds, written)
	same(t, "codes of errors", manual, slices.DeleteFunc(codes, func(c string) bool { return c == "200" }))
}
