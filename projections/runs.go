package projections

import (
	"github.com/google/uuid"

	"daybook/domain"
)

// runs folds the events of a batch per account, in the order in which the
// accounts first occur. Streams that are not wanted are skipped.
func runs[C any](events []domain.Recorded, wanted func(stream string) bool,
	begin func(uuid.UUID, domain.Recorded) *C, apply func(*C, domain.Recorded),
) []*C {
	var ordered []*C
	byAccount := map[uuid.UUID]*C{}
	for _, r := range events {
		id, ok := domain.StreamSubject(r.Stream)
		if !ok || !wanted(r.Stream) {
			continue
		}
		change, found := byAccount[id]
		if !found {
			change = begin(id, r)
			byAccount[id] = change
			ordered = append(ordered, change)
		}
		apply(change, r)
	}
	return ordered
}
