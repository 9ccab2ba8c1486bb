package replica

import (
	"testing"

	"bluerings/hlc"
)

// TestNothingWaitsForTheIntervalTwice: where commits come at intervals, one
// takes all there is, or a node would take in no more than one batch an interval.
func TestNothingWaitsForTheIntervalTwice(t *testing.T) {
	l := listen(t, func(cfg *Config) { cfg.Async, cfg.Portion = true, 1 })
	for first := range hlc.Timestamp(2 * batchPortions) {
		l.must(l.hear(l.message(uint64(first+1), origin+first)))
	}
	b := l.NextBatch(l.at)
	l.disk.commit(b)
	more, err := l.Persisted(l.at, b.Number)
	for ; more && err == nil; more, err = l.Proceed(l.at) {
	}
	l.must(err)
	if n := l.Unstored(); n != 0 {
		t.Errorf("after batch %d, batch %d has to be stored", b.Number, n)
	}
	if held := l.logs[0].held; held != 2*batchPortions {
		t.Errorf("%d tickets are held", held)
	}
}

// TestLeavingIsRecordedOnce: once the last batch is sealed, nobody has to wait
// for another that nobody may store any more.
func TestLeavingIsRecordedOnce(t *testing.T) {
	l := listen(t, nil)
	l.store()
	l.Leave()
	if l.Unstored() == 0 {
		t.Fatal("that it leaves need not be stored")
	}
	l.store()
	l.metaDue = true // a name was collected, say
	if n := l.Unstored(); n != 0 {
		t.Errorf("batch %d has to be stored", n)
	}
}
