// Package eventstore is this service's use of EventStoreDB: a Client that owns
// the official client and makes up for what that one leaves open.
//
// It promises that
//   - every call ends with its context, also when the official client hangs;
//   - a client that closed itself is replaced, and no connection leaks but what
//     connection tells of;
//   - a call that came to a follower is repeated at the leader;
//   - an append whose outcome is unknown (timeout, cut, unavailable) is repeated
//     with the same bytes, ids and revision, and never counted twice;
//   - names are plain names: the namespace is added and taken off here;
//   - events of other programs and of the server itself are never seen.
package eventstore
