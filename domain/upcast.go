package domain

// formerTypes are shapes that streams hold and nothing writes any more: rows made
// by formerly. A row comes here, with its struct, when its name gets the next
// schema version in eventTypes, and stays for ever. No shape has changed yet.
var formerTypes []eventType

// formerly makes an upcaster's row: old reads a shape of before, strictly as ever,
// and upcast turns it into the present event of its name. It is total: what was
// once stored has no other way into the program. An event whose personal part is
// erased passes through it, and must come out as erased.
func formerly[Old, New Event](old eventType, upcast func(Old) New) eventType {
	return eventType{
		name: old.name, schema: old.schema,
		decode: func(data []byte, open Opener) (Event, error) {
			event, err := old.decode(data, open)
			if err != nil {
				return nil, err
			}
			return upcast(event.(Old)), nil
		},
	}
}
