package topologies

import (
	"fmt"
	"strconv"
	"strings"
)

// suggest is the remedy for a word that is not among the known ones.
func suggest(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return "remove it"
	}
	return useOneOf(known)
}

func useOneOf(known []string) string {
	quotes := make([]string, min(len(known), maxListed))
	for i := range quotes {
		quotes[i] = strconv.Quote(known[i])
	}
	text := "use one of " + strings.Join(quotes, ", ")
	if more := len(known) - len(quotes); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// nearest returns the known word that word most likely stands for, or "": one that contains it or
// is contained in it, or differs in at most a third of its letters.
func nearest(word string, known []string) string {
	const longest = 64 // longer words are no slips of the pen
	if word == "" || len(word) > longest {
		return ""
	}
	word = strings.ToLower(word)
	best, least := "", 0
	for _, k := range known {
		d := distance(word, strings.ToLower(k))
		if min(len(word), len(k)) >= 3 && (strings.Contains(k, word) || strings.Contains(word, k)) {
			d = min(d, 1)
		}
		if d <= max(1, len(k)/3) && len(k) > 1 && (best == "" || d < least) {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with their neighbour
// (optimal string alignment) to turn a into b.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
