package httpapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"strings"
)

//go:embed docs.html
var docsHTML string

//go:embed page.html
var pageHTML []byte

var docsTemplate = template.Must(template.New("docs").Funcs(template.FuncMap{
	"upper": strings.ToUpper, "indent": indent, "last": lastSegment,
}).Parse(docsHTML))

// reference is what the template of GET /docs shows.
type reference struct {
	Info     any
	Sections []section
	Schemas  any
	Codes    []problemLine
}

type section struct {
	Name, About string
	Operations  []shownOperation
}

type shownOperation struct {
	Method, Path string
	Operation    object
}

type problemLine struct {
	Code   Code
	Status int
	Title  string
}

// renderDocs makes the reference from the very document that programs read.
func renderDocs(document object) ([]byte, error) {
	shown := reference{Info: document["info"], Schemas: document["components"].(object)["schemas"]}
	for _, t := range document["tags"].([]any) {
		tag := t.(object)
		s := section{Name: tag["name"].(string), About: tag["description"].(string)}
		for _, rt := range routes {
			op := document["paths"].(object)[rt.pattern].(object)[strings.ToLower(rt.method)].(object)
			if slices.Contains(op["tags"].([]any), tag["name"]) {
				s.Operations = append(s.Operations, shownOperation{rt.method, rt.pattern, op})
			}
		}
		shown.Sections = append(shown.Sections, s)
	}
	for _, c := range codes {
		shown.Codes = append(shown.Codes, problemLine{c.code, c.status, c.title})
	}
	var b bytes.Buffer
	err := docsTemplate.Execute(&b, shown)
	return b.Bytes(), err
}

func indent(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return strings.TrimSpace(b.String()), err
}

func lastSegment(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// policy is the Content-Security-Policy of a page: it may run and apply what
// stands in it, ask this server, and nothing else.
func policy(page []byte) string {
	sources := func(pattern string) string {
		var list []string
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(page, -1) {
			sum := sha256.Sum256(m[1])
			list = append(list, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
		}
		if list == nil {
			return "'none'"
		}
		return strings.Join(list, " ")
	}
	return fmt.Sprintf("default-src 'none'; script-src %s; style-src %s; connect-src 'self'; img-src 'self' data:; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		sources(`(?s)<script>(.*?)</script>`), sources(`(?s)<style>(.*?)</style>`))
}

var (
	pagePolicy = policy(pageHTML)
	docsPolicy = policy([]byte(docsHTML))
)

func (a *API) getPage(x *exchange) error { return x.html(pageHTML, pagePolicy) }

func (a *API) getDocs(x *exchange) error { return x.html(a.docs, docsPolicy) }

func (a *API) getOpenAPI(x *exchange) error {
	x.out = append(x.out[:0], a.openAPI...)
	return x.reply(200)
}

func (x *exchange) html(page []byte, policy string) error {
	h := x.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	x.out = append(x.out[:0], page...)
	return x.send(200, []string{"text/html; charset=utf-8"})
}
