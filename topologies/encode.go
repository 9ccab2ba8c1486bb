package topologies

import (
	"fmt"
	"strconv"
	"strings"
)

// Encode returns the topology as the text of its file. Parsed again, one that passes Check is the
// same again, save that subscriptions and timers keep no comments or notation.
func (t *Topology) Encode() []byte {
	var b strings.Builder
	put(&b, "ring", strconv.Quote(t.Ring))
	put(&b, "value", strconv.Quote(t.Value))
	put(&b, "shape", strconv.Quote(t.Shape))
	putText(&b, "direction", t.Direction)
	putTexts(&b, "hubs", t.Hubs)
	if stated := t.Timers.pairs(); len(stated) > 0 {
		fmt.Fprintf(&b, "\n[timers]\n%s\n", strings.Join(stated, "\n"))
	}
	for _, n := range t.Nodes {
		b.WriteString("\n[[nodes]]\n")
		n.encode(&b)
	}
	return []byte(b.String())
}

func (n Node) encode(b *strings.Builder) {
	put(b, "host", strconv.Quote(n.Host))
	putText(b, "pub", n.Pub)
	putText(b, "http", n.HTTP)
	putText(b, "bind", n.Bind)
	if n.Role != Member {
		putText(b, "role", n.Role)
	}
	putText(b, "site", n.Site)
	if n.Apex {
		put(b, "apex", "true")
	}
	putTexts(b, "subscribe_to", n.SubscribeTo)
	if stated := n.Timers.pairs(); len(stated) > 0 {
		put(b, "timers", "{ "+strings.Join(stated, ", ")+" }")
	}
}

// pairs are the stated timers as key = value.
func (t Timers) pairs() []string {
	var pairs []string
	for _, k := range timerKeys {
		if d := *k.field(&t); d != nil {
			pairs = append(pairs, fmt.Sprintf("%s = %q", k.name, d.String()))
		}
	}
	return pairs
}

func put(b *strings.Builder, key, literal string) { fmt.Fprintf(b, "%s = %s\n", key, literal) }

func putText(b *strings.Builder, key, text string) {
	if text != "" {
		put(b, key, strconv.Quote(text))
	}
}

func putTexts(b *strings.Builder, key string, texts []string) {
	if len(texts) == 0 {
		return
	}
	quotes := make([]string, len(texts))
	for i, s := range texts {
		quotes[i] = strconv.Quote(s)
	}
	put(b, key, "["+strings.Join(quotes, ", ")+"]")
}
