package blackbox

import "fmt"

// ledgers remembers every ticket ever shown by any node: a number of an origin
// must never stand for two contents.
type ledgers map[string]string

// note takes in what a node shows. Whether a ticket is superseded may change
// while the ring exchanges tickets; what it says may not.
func (l ledgers) note(counter string, entries []ticket) error {
	for _, e := range entries {
		e.Superseded, e.Conflict = false, false
		key, content := fmt.Sprintf("%s %d", e.Origin, e.Seq), fmt.Sprintf("%s %+v", counter, e)
		if before, ok := l[key]; ok && before != content {
			return fmt.Errorf("two tickets with one number:\n%s\n%s", before, content)
		}
		l[key] = content
	}
	return nil
}
