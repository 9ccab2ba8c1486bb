package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"
)

// regressions reads benchstat's CSV and lists what became worse: more of anything per operation, per
// ticket or per name, or less of anything a second. Benchstat leaves out changes that may be chance.
func regressions(text []byte) ([]string, error) {
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	records, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	var worse []string
	pkg, unit := "", ""
	for _, row := range records {
		switch {
		case len(row) == 1:
			if name, ok := strings.CutPrefix(row[0], "pkg: "); ok {
				pkg = strings.TrimPrefix(name, "bluerings/")
			}
		case len(row) < 7 || row[0] == "geomean":
		case row[0] == "":
			unit = row[1]
		case unit == "bare/s": // tells of the machine
		case row[5] != "~" && strings.HasPrefix(row[5], "+") != rises(unit):
			worse = append(worse, fmt.Sprintf("%s %s: %s %s (%s)", pkg, row[0], row[5], unit, row[6]))
		}
	}
	return worse, nil
}

// rises says that more of a unit is better.
func rises(unit string) bool {
	return strings.HasSuffix(unit, "/s") || unit == "of-bare" || unit == "tickets/commit"
}
