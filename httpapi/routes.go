package httpapi

import (
	"slices"

	"bluerings/tickets"
)

// route is one line of the table that everything is made from.
type route struct {
	method, pattern string
	handle          func(*API, *exchange) error
	scope           Scope
	family          tickets.Family // of the names at the path; 0 for none
	changes         bool           // takes replicas, wait and require_coherence
	params          []string       // of the query
	media           []string       // of the answer; with one, Accept is checked before handle

	id, tag, summary string
	about            string
	body             string // schema of the request body; empty for none
	answer           string // schema of the answer in media[0]; empty for text
	statuses         []int  // of success
	codes            []Code // of problems, besides those that every route has

	metrics routeMetrics
}

var (
	onlyJSON = []string{mediaJSON}
	onlyHTML = []string{mediaHTML}

	listParams = []string{"prefix", "limit", "cursor", "require_coherence"}
	listCodes  = []Code{BadLimit, BadCursor, NotCoherent}

	changeCodes = []Code{
		BadName, BadJSON, UnknownField, DuplicateField, BadExpire, BadID, BadRef, BadReplicas, BadWait,
		CrossOrigin, RequestTimeout, ReadOnly, TooLarge, UnsupportedMedia, IDReused, ValueTooLarge,
		Busy, NotCoherent, Uncertain, Unavailable, DiskFull,
	}
)

func changing(codes ...Code) []Code { return slices.Concat(changeCodes, codes) }

// routes is every route there is.
var routes = slices.Concat(nameRoutes, ringRoutes, pageRoutes)

var nameRoutes = []route{
	{
		method: "GET", pattern: "/v1/counters", handle: (*API).getList, scope: Read, family: tickets.Counters,
		params: listParams, media: onlyJSON, id: "listCounters", tag: "counters", summary: "List counters",
		answer: "CounterList", statuses: []int{200}, codes: listCodes,
	},
	{
		method: "PUT", pattern: "/v1/counters/{name}", handle: (*API).putCounter, scope: Write, family: tickets.Counters,
		changes: true, media: onlyJSON, id: "setUpCounter", tag: "counters", summary: "Set a counter up, or extend its life",
		about: "An expiry is only ever extended: an earlier one changes nothing.",
		body:  "Setup", answer: "CounterChange", statuses: []int{200, 201, 202}, codes: changeCodes,
	},
	{
		method: "POST", pattern: "/v1/counters/{name}", handle: (*API).postCounter, scope: Write, family: tickets.Counters,
		changes: true, media: onlyJSON, id: "updateCounter", tag: "counters", summary: "Add an amount to a counter",
		about: "Answered once the ticket is durable. With an id, sending it again, to whichever node, counts once. " +
			"An unknown counter is set up by the same call if it has an expire.",
		body: "CounterUpdate", answer: "CounterChange", statuses: []int{200, 201, 202}, codes: changing(BadAmount, UnknownCounter),
	},
	{
		method: "GET", pattern: "/v1/counters/{name}", handle: (*API).getCounter, scope: Read, family: tickets.Counters,
		params: []string{"at", "final", "wait", "require_coherence"}, media: onlyJSON,
		id: "readCounter", tag: "counters", summary: "Read a counter",
		about: "The value now; with at, the value as of then and whether it is final; with final, the value of " +
			"that moment once it is final.",
		answer: "Counter", statuses: []int{200},
		codes: []Code{BadName, BadTime, BadWait, UnknownCounter, NotFinal, Expired, Busy, NotCoherent, Unavailable},
	},
	{
		method: "GET", pattern: "/v1/counters/{name}/tickets", handle: (*API).getLedger, scope: Read, family: tickets.Counters,
		params: []string{"from", "to", "limit", "cursor", "require_coherence"},
		media:  []string{mediaJSON, mediaNDJSON, mediaCSV},
		id:     "readLedger", tag: "counters", summary: "Read a counter's ledger",
		about: "Tickets in the order of timestamp, host and epoch, from and to included. JSON comes in pages. " +
			"NDJSON and CSV are streamed to the end, or up to limit with the header Next-Cursor. Pages are " +
			"stable where to is not after final_through.",
		answer: "Ledger", statuses: []int{200},
		codes: []Code{BadName, BadTime, BadLimit, BadCursor, UnknownCounter, NotCoherent, Unavailable},
	},
	{
		method: "GET", pattern: "/v1/texts", handle: (*API).getList, scope: Read, family: tickets.Texts,
		params: listParams, media: onlyJSON, id: "listTexts", tag: "texts", summary: "List texts",
		answer: "TextList", statuses: []int{200}, codes: listCodes,
	},
	{
		method: "PUT", pattern: "/v1/texts/{name}", handle: (*API).putText, scope: Write, family: tickets.Texts,
		changes: true, media: onlyJSON, id: "setText", tag: "texts", summary: "Set a text",
		about: "The last writer wins, by timestamp and host. Without text only the life is extended.",
		body:  "TextSet", answer: "TextChange", statuses: []int{200, 201, 202}, codes: changing(BadText, UnknownText),
	},
	{
		method: "GET", pattern: "/v1/texts/{name}", handle: (*API).getText, scope: Read, family: tickets.Texts,
		params: []string{"require_coherence"}, media: onlyJSON, id: "readText", tag: "texts", summary: "Read a text",
		answer: "Text", statuses: []int{200}, codes: []Code{BadName, UnknownText, NotCoherent},
	},
	{
		method: "GET", pattern: "/v1/sets", handle: (*API).getList, scope: Read, family: tickets.Sets,
		params: listParams, media: onlyJSON, id: "listSets", tag: "sets", summary: "List sets",
		answer: "SetList", statuses: []int{200}, codes: listCodes,
	},
	{
		method: "PUT", pattern: "/v1/sets/{name}", handle: (*API).putSet, scope: Write, family: tickets.Sets,
		changes: true, media: onlyJSON, id: "setUpSet", tag: "sets", summary: "Set a set up, or extend its life",
		body: "Setup", answer: "SetChange", statuses: []int{200, 201, 202}, codes: changeCodes,
	},
	{
		method: "GET", pattern: "/v1/sets/{name}", handle: (*API).getSet, scope: Read, family: tickets.Sets,
		params: listParams, media: onlyJSON, id: "readSet", tag: "sets", summary: "List the elements of a set",
		answer: "Set", statuses: []int{200}, codes: append([]Code{BadName, UnknownSet}, listCodes...),
	},
	{
		method: "PUT", pattern: "/v1/sets/{name}/elements/{element}", handle: (*API).putElement, scope: Write,
		family: tickets.Sets, changes: true, media: onlyJSON, id: "addElement", tag: "sets", summary: "Add an element to a set",
		about: "An element once removed stays removed; present tells what came of it.",
		body:  "Setup", answer: "ElementChange", statuses: []int{200, 201, 202}, codes: changing(BadElement, UnknownSet),
	},
	{
		method: "DELETE", pattern: "/v1/sets/{name}/elements/{element}", handle: (*API).deleteElement, scope: Write,
		family: tickets.Sets, changes: true, media: onlyJSON, id: "removeElement", tag: "sets",
		summary: "Remove an element from a set, for good",
		body:    "Setup", answer: "ElementChange", statuses: []int{200, 202}, codes: changing(BadElement, UnknownSet),
	},
	{
		method: "GET", pattern: "/v1/sets/{name}/elements/{element}", handle: (*API).getElement, scope: Read,
		family: tickets.Sets, params: []string{"require_coherence"}, media: onlyJSON,
		id: "readElement", tag: "sets", summary: "Ask whether an element is in a set",
		answer: "Element", statuses: []int{200}, codes: []Code{BadName, BadElement, UnknownSet, UnknownElement, NotCoherent},
	},
	{
		method: "POST", pattern: "/v1/batch", handle: (*API).postBatch, scope: Write, changes: true,
		media: []string{mediaNDJSON, mediaJSON}, id: "applyBatch", tag: "batch", summary: "Apply up to 10,000 changes",
		about: "A change a line, or a JSON array of them; empty lines do not count. The outcomes come in the same " +
			"order and form. A line that fails does not keep the others from being applied.",
		body: "Batch", answer: "Outcomes", statuses: []int{200},
		codes: []Code{
			BadJSON, BadID, BadReplicas, BadWait, CrossOrigin, RequestTimeout, TooLarge, UnsupportedMedia,
			Busy, NotCoherent, Unavailable,
		},
	},
}

var ringRoutes = []route{
	{
		method: "GET", pattern: "/v1/coherence", handle: (*API).getCoherence, scope: Read,
		params: []string{"wait", "require_coherence"}, media: onlyJSON, id: "readCoherence", tag: "ring",
		summary: "Ask whether the ring is whole, and through when it is final",
		about:   "With wait it answers when the ring is coherent, or when the wait ends.",
		answer:  "Coherence", statuses: []int{200}, codes: []Code{BadWait, Busy, NotCoherent, Unavailable},
	},
	{
		method: "GET", pattern: "/v1/statistics", handle: (*API).getStatistics, scope: Read, media: onlyJSON,
		id: "readStatistics", tag: "ring", summary: "Count what happened since the start of the node",
		answer: "Statistics", statuses: []int{200},
	},
	{
		method: "GET", pattern: "/v1/topology", handle: (*API).getTopology, scope: Read, params: []string{"format"},
		media: []string{mediaJSON, mediaSVG, mediaText}, id: "readTopology", tag: "ring",
		summary: "Read or draw the graph of the ring",
		about:   "format is json, svg, dot or mermaid. To subscribes to from.",
		answer:  "Topology", statuses: []int{200}, codes: []Code{BadParameter},
	},
	{
		method: "GET", pattern: "/v1/digest", handle: (*API).getDigest, scope: Read, params: []string{"at"},
		media: onlyJSON, id: "readDigest", tag: "ring", summary: "Hash all values as of a time",
		about:  "The same on every node where the time is final. Without at, as of final_through.",
		answer: "Digest", statuses: []int{200}, codes: []Code{BadTime, NotFinal, Expired, Unavailable},
	},
	{
		method: "GET", pattern: "/v1/backup", handle: (*API).getBackup, scope: Admin, media: []string{mediaTar},
		id: "readBackup", tag: "ring", summary: "Download a consistent copy of the node's ledger",
		statuses: []int{200}, codes: []Code{Unavailable},
	},
}

var pageRoutes = []route{
	{
		method: "GET", pattern: "/livez", handle: (*API).getLive, media: onlyJSON, id: "live", tag: "process",
		summary: "Ask whether the process is alive", answer: "Live", statuses: []int{200},
	},
	{
		method: "GET", pattern: "/readyz", handle: (*API).getReady, media: onlyJSON, id: "ready", tag: "process",
		summary: "Ask whether the node can serve", answer: "Ready", statuses: []int{200}, codes: []Code{NotReady},
	},
	{
		method: "GET", pattern: "/metrics", handle: (*API).getMetrics, scope: Read, media: []string{mediaText, "application/openmetrics-text"},
		id: "readMetrics", tag: "process", summary: "Metrics for Prometheus", statuses: []int{200},
	},
	{
		method: "GET", pattern: "/openapi.json", handle: (*API).getOpenAPI, scope: Read, media: onlyJSON,
		id: "readOpenAPI", tag: "process", summary: "This description, for programs", answer: "Document", statuses: []int{200},
	},
	{
		method: "GET", pattern: "/docs", handle: (*API).getDocs, scope: Read, media: onlyHTML,
		id: "readDocs", tag: "process", summary: "This description, for people", statuses: []int{200},
	},
	{
		method: "GET", pattern: "/", handle: (*API).getPage, media: onlyHTML,
		id: "readPage", tag: "process", summary: "The operator's page", statuses: []int{200},
		about: "It holds nothing of the ring itself: it asks the API, with a token where one is needed.",
	},
}
