// Package projections is the read side: views that are built from the events
// and may be dropped and built again at any time.
//
// A projector handles one ordered batch of events per message, in one
// transaction and one round trip: the checkpoint moves (compare and set, with
// the owner's epoch), the rows change, waiting queries are notified. Rows
// carry the revision of the last event applied, or the id of their event; events
// already applied change nothing and, where rows have revisions, a missing one is
// an alarm. The batch that comes next may be decoded meanwhile. A commit whose
// answer was lost is found by the checkpoint. Projectors do nothing else: no mail,
// no HTTP, so building a view again has no effect on the outside.
//
// An account of which an event cannot be read or be put into a view is parked:
// left out from there on, by position, while all others go on; queries say so, and
// their callers fold its stream. Retry puts it in. A Rebuild fills a second table
// beside the shown one and switches in one transaction; the one from before is kept
// up to date, so that going back is one transaction too.
//
// Each view is one file that reads as its definition. Only Accounts and Activity
// hold personal data; what analytics are made of is built without opening a
// sealed box. Once a person is erased their rows are emptied with the next event
// that shows it, and say so. Nothing here decides anything; commands never ask a
// view.
package projections
