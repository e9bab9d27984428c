// Package relay publishes what happens to accounts on a Kafka topic, as CloudEvents
// 1.0 in JSON, for analytics and other services.
//
// What it promises:
//
//   - Every event that has a public type is published at least once, those of one
//     account in the order in which they happened: a checkpoint moves only behind
//     what all in-sync replicas have acknowledged. A consumer that passes over ids
//     it has seen reads each once and in order, whatever was repeated.
//   - While no broker answers nothing is lost and nobody but the relay waits.
//   - Public types are versioned apart from the stored events: their names and
//     members never change, a new shape gets a new name.
//   - No sealed part is ever opened: no address, name, phone number, picture,
//     client address or device is published, nor any free text or secret.
package relay
