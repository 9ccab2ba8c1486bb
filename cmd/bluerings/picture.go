package main

import (
	"cmp"
	"encoding/hex"
	"slices"

	"bluerings/ring"
	"bluerings/topologies"
)

// liveState colours a drawing of the topology by what the node sees.
func liveState(t *topologies.Topology, status ring.Status, links []ring.LinkState) topologies.State {
	state := topologies.State{
		Self: status.Host, Nodes: map[string]topologies.Status{}, Links: map[topologies.Link]topologies.Status{},
	}
	for _, m := range status.Members {
		switch {
		case m.Host == status.Host:
			state.Nodes[m.Host] = topologies.Up
		case !m.Connected:
			state.Nodes[m.Host] = topologies.Down
		case m.Behind > 0 || m.Lacks > 0 || !m.HearsAll:
			state.Nodes[m.Host] = topologies.Behind
		default:
			state.Nodes[m.Host] = topologies.Up
		}
	}
	seen := map[[2]string]topologies.Status{}
	for _, l := range links {
		switch l.State {
		case "up":
			seen[[2]string{l.From, l.To}] = topologies.Up
		case "down":
			seen[[2]string{l.From, l.To}] = topologies.Down
		}
	}
	for _, l := range t.Links() {
		if status, ok := seen[[2]string{l.From, l.To}]; ok {
			state.Links[l] = status
		}
	}
	return state
}

// graphOfNode is the topology as GET /v1/topology shows it.
type graphOfNode struct {
	Ring     string        `json:"ring"`
	Value    string        `json:"value"`
	Shape    string        `json:"shape"`
	Self     string        `json:"self"`
	Digest   string        `json:"digest"`
	Diameter int           `json:"diameter"`
	Nodes    []graphMember `json:"nodes"`
}

type graphMember struct {
	Host string `json:"host"`
	Role string `json:"role"`
	Site string `json:"site,omitempty"`
	Hub  bool   `json:"hub,omitempty"`
	Apex bool   `json:"apex,omitempty"`
	Pub  string `json:"pub,omitempty"`
	HTTP string `json:"http,omitempty"`
}

// describe is the topology without its links: their states come from the node.
func describe(t *topologies.Topology, self string) graphOfNode {
	digest := t.Digest()
	g := graphOfNode{
		Ring: t.Ring, Value: t.Value, Shape: t.Shape, Self: self,
		Digest: hex.EncodeToString(digest[:]), Diameter: t.Diameter(),
		Nodes: []graphMember{},
	}
	for _, n := range t.Nodes {
		g.Nodes = append(g.Nodes, graphMember{
			Host: n.Host, Role: cmp.Or(n.Role, topologies.Member), Site: n.Site,
			Hub: slices.Contains(t.Hubs, n.Host), Apex: n.Apex, Pub: n.Pub, HTTP: n.HTTP,
		})
	}
	return g
}
