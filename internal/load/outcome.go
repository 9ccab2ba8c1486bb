package load

import (
	"bytes"
	"encoding/json"
	"fmt"

	"bluerings/internal/client"
)

// outcome is what became of one line of a batch.
type outcome struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Code   string `json:"code"`
}

// count takes in the answer to one request.
func (w *worker) count(a client.Answer) {
	if w.plan.Batch == 1 {
		w.result.Updates++
		return
	}
	outcomes, err := readOutcomes(a.Body)
	if err == nil && len(outcomes) != w.plan.Batch {
		err = fmt.Errorf("%d outcomes for %d updates", len(outcomes), w.plan.Batch)
	}
	if err != nil {
		w.result.Failed += uint64(w.plan.Batch)
		w.result.fail(err.Error(), 1)
		return
	}
	for _, o := range outcomes {
		if o.Status >= 400 {
			w.result.Failed++
			w.result.fail(fmt.Sprintf("%s (%s)", o.Title, o.Code), 1)
			continue
		}
		w.result.Updates++
	}
}

// readOutcomes reads the answer to a batch: an array, or one outcome a line.
func readOutcomes(body []byte) ([]outcome, error) {
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '[' {
		var list []outcome
		err := json.Unmarshal(body, &list)
		return list, err
	}
	var list []outcome
	for line := range bytes.Lines(body) {
		var o outcome
		if err := json.Unmarshal(line, &o); err != nil {
			return nil, fmt.Errorf("answer to a batch: %w", err)
		}
		list = append(list, o)
	}
	return list, nil
}
