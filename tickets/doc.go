// Package tickets is the algebra of Blue Rings: immutable tickets in dense
// logs, one log per origin, and the folds that turn any set of logs into
// values. It is pure: it reads no clock, does no input or output and starts
// no goroutine.
//
// # Logs and vectors
//
// A ticket is one change. Each origin numbers its tickets 1, 2, 3 … in the
// order of their timestamps, over all names, so a prefix of a log by number
// is also a prefix by time. What a node knows is told by its [Vector], the
// length of the prefix it holds of every log, and its state is a function of
// that vector alone: merging only ever makes prefixes longer. This is what
// makes merging commutative, associative and idempotent. Logs travel and rest
// as encoded runs, see [Encoder].
//
// # Folds
//
// A [Table] is that function, kept up to date ticket by ticket. For each name:
//
//	sort its tickets by (timestamp, host, epoch);
//	cut them into lives, see lives.go; only the last life matters;
//	in that life, of the tickets with one id only the first counts;
//	counter: the exact sum of the counted amounts
//	text:    the last counted ticket
//	set:     what was added, less what was ever removed
//	expire:  the greatest of all tickets of the life, counted or not
//
// Lives depend on timestamps and expiries only, not on ids, so the steps do
// not turn in a circle. Ids do not reach from one life into the next, so it
// makes no difference whether the tickets of an old life were collected.
//
// Nearly every ticket changes its own name by itself and is folded in place,
// without a look at the past. Where it changes more, because it arrived late
// and joins two lives, or displaces what counted until now, the name is
// folded anew from all its tickets ([Past]). The tests hold both against the
// four steps above, done naively, after every ticket.
//
// # Chains
//
// The tickets of one name in one log are a chain: each knows how far back the
// one before it is. The table holds the end and the gross sum of every chain,
// and marks along the way (every 128 tickets) hold the gross sum up to there.
// So the value as of an earlier time is found by walking a few tickets back,
// see [View.SumAt].
package tickets
