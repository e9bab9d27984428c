// Package messaging connects Watermill with EventStoreDB and with Kafka.
//
// A Subscriber delivers stored events as Watermill messages: one message an
// event, or, for consumers that commit in batches, one message an ordered
// batch. It promises that
//
//   - events come in commit order, one message at a time, each at least once; in
//     lanes, those of one key do, and those of others side by side, and a position
//     is saved when everything up to it is acked;
//   - a nacked message comes again, in its place, until it is acked;
//   - lost connections are its own business: a channel closes only when the
//     subscriber or the context of the subscription ends;
//   - on closing, a message in a handler's hands is waited for, and its context
//     lives on meanwhile.
//
// Of batches the next one may be prepared, decoded for instance, while one is in
// a handler's hands; still only one message is out at a time.
//
// A Publisher appends Watermill messages to streams; what is published in one
// call to one stream is one atomic append. Neither closes the Client it uses.
//
// A KafkaSubscriber promises the same for the records of each partition, and a
// KafkaPublisher that what it has published is with all in-sync replicas.
package messaging
