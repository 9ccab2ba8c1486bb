package topologies

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSVGIsXML(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		top := anyTopology(t)
		top.Ring = `<&">'`
		state := State{Self: "a", Nodes: map[string]Status{}, Links: map[Link]Status{}}
		statuses := rapid.SampledFrom([]Status{"", Up, Behind, Down})
		for _, h := range top.Members() {
			state.Nodes[h] = statuses.Draw(t, "node")
		}
		for i, l := range top.Links() {
			if i < 20 {
				state.Links[l] = statuses.Draw(t, "link")
			}
		}
		drawn, err := top.GraphWith(SVG, state)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(drawn, []byte("NaN")) {
			t.Fatal("a place that is none")
		}
		for d := xml.NewDecoder(bytes.NewReader(drawn)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if again, _ := top.GraphWith(SVG, state); !bytes.Equal(drawn, again) {
			t.Fatal("the same state was drawn in two ways")
		}
	})
}

func TestGraphFormats(t *testing.T) {
	top := load(t, "two-sites.toml")
	link := top.Links()[0]
	state := State{Nodes: map[string]Status{"par1": Down}, Links: map[Link]Status{link: Down}}
	for format, wants := range map[string][]string{
		SVG:     {"par1, member, apex, paris", "lyo1 → lyo2: down", `class="site-name"`, "prefers-color-scheme"},
		Dot:     {`"lyo1" -> "lyo2" [color="#dc2626"`, "subgraph cluster_0", `"par4" [style="filled,dashed"`},
		Mermaid: {"flowchart LR", `(("par1"))`, "subgraph s0", "linkStyle"},
	} {
		got, err := top.GraphWith(format, state)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(got), want) {
				t.Errorf("%s lacks %q:\n%s", format, want, got)
			}
		}
	}
	if _, err := top.Graph("sgv"); err == nil || !strings.Contains(err.Error(), `"svg"`) {
		t.Error(err)
	}
}

func TestHugeDrawingsShowTrouble(t *testing.T) {
	top, err := Generate(FullMesh, 120)
	if err != nil {
		t.Fatal(err)
	}
	bad := top.Links()[5]
	drawn, err := top.GraphWith(SVG, State{Links: map[Link]Status{bad: Down}})
	if err != nil {
		t.Fatal(err)
	}
	if len(drawn) > 200_000 || !bytes.Contains(drawn, []byte(bad.From+" → "+bad.To+": down")) {
		t.Errorf("%d bytes", len(drawn))
	}
}
