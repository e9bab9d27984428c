// Package projections is the read side: views that are built from the events
// and may be dropped and built again at any time.
//
// A projector handles one ordered batch of events per message, in one
// transaction and one round trip: the checkpoint moves (compare and set, with
// the owner's epoch), the rows change, waiting queries are notified. Rows
// carry the revision of the last event applied; events already applied change
// nothing and a missing one is an alarm. Projectors do nothing else: no mail,
// no HTTP, so building a view again has no effect on the outside.
//
// Each view is one file that reads as its definition. Nothing here decides
// anything; commands never ask a view.
package projections
