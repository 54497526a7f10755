package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

const example = "../../packaging/recall-milter.toml"

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTheExampleSaysTheDefaults(t *testing.T) {
	c, err := Parse(example, read(t, example))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	// those that are there are meant for an ordinary site, and no defaults
	c.Hold.Rules = nil
	c.Lists = nil // they are of the folder of the file
	// empty lists, nil or not
	c.Recall.Addresses, c.Inbound.Trust, c.Inbound.ARCSealers = want.Recall.Addresses, want.Inbound.Trust,
		want.Inbound.ARCSealers
	if !reflect.DeepEqual(c, want) {
		t.Errorf("the example says\n%+v\nthe defaults are\n%+v", c, want)
	}
}

func TestTheExampleShowsEveryKey(t *testing.T) {
	text := string(read(t, example))
	var keys func(reflect.Type)
	keys = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			key := f.Tag.Get("toml")
			if key == "" {
				continue
			}
			if !regexp.MustCompile(`\b` + key + `\b`).MatchString(text) {
				t.Errorf("%s of %s is not in the example", key, typ)
			}
			switch elem := f.Type; {
			case elem.Kind() == reflect.Struct:
				keys(elem)
			case elem.Kind() == reflect.Slice && elem.Elem().Kind() == reflect.Struct:
				keys(elem.Elem())
			}
		}
	}
	keys(reflect.TypeFor[Config]())
}

func TestTheRulesOfTheExampleWork(t *testing.T) {
	text := regexp.MustCompile(`(?m)^#(\[\[|[a-z_]+ = )`).ReplaceAllString(string(read(t, example)), "$1")
	c, err := Parse(example, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Inbound.Recall.Rules; len(r) != 1 || r[0].Partners[0] != "bank.test" ||
		*r[0].MaxAge != Duration(24*time.Hour) || r[0].OnFail != "quarantine" {
		t.Errorf("inbound rules: %+v", r)
	}
	if len(c.Hold.Rules) != 4 || c.Hold.Rules[3].Delegates[0] != "assistant@corp.test" ||
		c.Hold.Rules[0].Grace.Duration != 0 {
		t.Errorf("rules: %+v", c.Hold.Rules)
	}
}

func TestTheContractsExampleParses(t *testing.T) {
	c, err := Parse("contract.toml", read(t, "testdata/contract.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Hold.Rules[0].Header["Auto-Submitted"] != "!no" || c.Inbound.AuthservID != "gw.corp.test" ||
		c.Recall.Rate.Count != 60 {
		t.Errorf("read %+v", c)
	}
}

// Each testdata/bad/NAME.toml must be refused with the words of NAME.txt.
func TestBadFiles(t *testing.T) {
	files, err := os.ReadDir("testdata/bad")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name, isConfig := strings.CutSuffix(f.Name(), ".toml")
		if !isConfig {
			continue
		}
		_, err := Parse(f.Name(), read(t, "testdata/bad/"+f.Name()))
		if err == nil {
			t.Errorf("%s was taken", f.Name())
			continue
		}
		golden := "testdata/bad/" + name + ".txt"
		if os.Getenv("UPDATE_GOLDEN") != "" {
			os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644)
		}
		if want := string(read(t, golden)); err.Error()+"\n" != want {
			t.Errorf("%s says\n%v\nwant\n%s", f.Name(), err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, file := range []string{example, "testdata/contract.toml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("[hold]\nrule = [{ name = 1 }]\nhold.x.y = 1\n[[hold]]\n[hold.rule]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, err := Parse("x.toml", text); err != nil {
			_ = err.Error()
		} else if c == nil {
			t.Error("neither a config nor an error")
		}
	})
}
