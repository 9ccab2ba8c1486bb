package httpapi

import (
	"regexp"
	"strings"
	"testing"
)

var (
	pageTag   = regexp.MustCompile(`^<(/?)([a-z][a-z0-9]*)((?: [a-z-]+(?:="[^"<>]*")?)*)>`)
	pageID    = regexp.MustCompile(` id="([^"]*)"`)
	pageEmpty = map[string]bool{"meta": true, "input": true, "br": true}
	// What would take markup from data, or load or run what is not in the page.
	pageForbidden = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setTimeout\(["']|` +
		` style=| on[a-z]+="| src=|href="(?:[a-z]+:|//)|url\(|@import|<(?:link|iframe|object|embed|base)\b`)
)

// checkPage reads a page as strictly as XHTML, but for empty elements and
// attributes without a value. It returns the ids.
func checkPage(t *testing.T, text string) map[string]bool {
	t.Helper()
	rest, ok := strings.CutPrefix(text, "<!doctype html>\n")
	if !ok {
		t.Error("no doctype")
	}
	if m := pageForbidden.FindString(text); m != "" {
		t.Errorf("it has %q", m)
	}
	ids := make(map[string]bool)
	var open []string
	for rest != "" {
		at := strings.IndexByte(rest, '<')
		if at < 0 {
			break
		}
		rest = rest[at:]
		m := pageTag.FindStringSubmatch(rest)
		if m == nil {
			t.Fatalf("not a tag: %.60q", rest)
		}
		rest = rest[len(m[0]):]
		switch closes, name := m[1] != "", m[2]; {
		case closes && (len(open) == 0 || open[len(open)-1] != name):
			t.Fatalf("</%s> closes %v before %.60q", name, open, rest)
		case closes:
			open = open[:len(open)-1]
		case name == "script" || name == "style": // up to its end it is no markup
			_, rest, _ = strings.Cut(rest, "</"+name+">")
		case !pageEmpty[name]:
			open = append(open, name)
		}
		for _, id := range pageID.FindAllStringSubmatch(m[3], -1) {
			if ids[id[1]] {
				t.Errorf("the id %s is there twice", id[1])
			}
			ids[id[1]] = true
		}
	}
	if len(open) > 0 {
		t.Errorf("not closed: %v", open)
	}
	return ids
}

// TestPagesAreWhole: the pages are well formed, need nothing from elsewhere and
// never take data for markup, and their scripts and links find what they name.
func TestPagesAreWhole(t *testing.T) {
	s := newServer(t)
	page := s.want(200, "", "GET", "/", "").text
	ids := checkPage(t, page)
	_, script, _ := strings.Cut(page, "<script>")
	used := regexp.MustCompile(`(?:\$|say|fill)\("([^"]+)"`).FindAllStringSubmatch(script, -1)
	if len(used) < 10 {
		t.Errorf("the script names %d elements", len(used))
	}
	for _, m := range used {
		if !ids[m[1]] {
			t.Errorf("the script looks for #%s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`ask\("([^"]+)"\)| href="([^"#]+)"`).FindAllStringSubmatch(page, -1) {
		s.want(200, "", "GET", "/"+m[1]+m[2], "")
	}

	docs := s.want(200, "", "GET", "/docs", "").text
	ids = checkPage(t, docs)
	for _, m := range regexp.MustCompile(` href="#([^"]+)"`).FindAllStringSubmatch(docs, -1) {
		if !ids[m[1]] {
			t.Errorf("/docs links to #%s", m[1])
		}
	}
	for path, text := range map[string]string{"/": page, "/docs": docs} {
		if got, want := s.want(200, "", "GET", path, "").Header().Get("Content-Security-Policy"), policy([]byte(text)); got != want {
			t.Errorf("%s has the policy %s, must have %s", path, got, want)
		}
	}
	for _, c := range codes {
		if !ids["problem-"+string(c.code)] {
			t.Errorf("/docs lacks the problem %s, which answers link to", c.code)
		}
	}
}
