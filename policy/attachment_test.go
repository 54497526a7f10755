package policy

import "testing"

// A file is in the list by its name or its type, and excluded by either; files that are not known might be.
func TestFilesAreFoundByNameAndType(t *testing.T) {
	t.Parallel()
	list := IfAttachment(patterns(t, "*.xlsx", "application/zip", "!newsletter-*", "!image/*"))
	for _, c := range []struct {
		name  string
		files []File
		more  bool
		want  answer
		value string
	}{
		{"none", nil, false, no, ""},
		{"by its name", []File{{Name: "a.txt"}, {Name: "Q3.XLSX", Type: "a/b"}}, false, yes, "Q3.XLSX"},
		{"by its type", []File{{Name: "a.bin", Type: "application/zip"}}, false, yes, "a.bin"},
		{"by its type alone", []File{{Type: "application/zip"}}, false, yes, "application/zip"},
		{"in an archive", []File{{Name: "a.xlsx", In: "q3.7z"}}, false, yes, "a.xlsx in q3.7z"},
		{"excluded by its name", []File{{Name: "newsletter-7.zip", Type: "application/zip"}}, false, no, ""},
		{"excluded by its type", []File{{Name: "a.xlsx", Type: "image/png"}}, false, no, ""},
		{"another", []File{{Name: "a.pdf", Type: "application/pdf"}}, false, no, ""},
		{"some are not known", []File{{Name: "a.pdf"}}, true, unknown, ""},
		{"one is enough", []File{{Name: "a.xlsx"}}, true, yes, "a.xlsx"},
	} {
		got, by := list.holds(nil, &Facts{Known: AtEnd, Files: c.files, MoreFiles: c.more})
		if got != c.want || by.Value != c.value {
			t.Errorf("%s: %v %q, want %v %q", c.name, got, by.Value, c.want, c.value)
		}
	}
}
