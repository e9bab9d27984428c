package node

import "iter"

// layers is one log whose parts lie in different places: a snapshot of each, the oldest
// records first. Each part begins where the one before it ends.
type layers []snapshot

// layered puts tables over the snapshot of the file. Records can be in both for a moment,
// after they were moved and before their table is let go; they are taken from the table.
func layered(file snapshot, tables ...tableSnapshot) snapshot {
	all := layers{file}
	for _, t := range tables {
		if len(t.records) == 0 {
			continue
		}
		if len(all) == 1 {
			all[0] = view{snapshot: file, limit: t.records[0].position - 1}
		}
		all = append(all, t)
	}
	if len(all) == 1 {
		return file
	}
	return all
}

func (l layers) all(from uint64, dir direction) iter.Seq2[record, error] {
	return l.chain(dir, func(part snapshot) iter.Seq2[record, error] { return part.all(from, dir) })
}

func (l layers) stream(name string, from int64, dir direction) iter.Seq2[record, error] {
	return l.chain(dir, func(part snapshot) iter.Seq2[record, error] { return part.stream(name, from, dir) })
}

// chain yields what scan finds in one part after the other.
func (l layers) chain(dir direction, scan func(snapshot) iter.Seq2[record, error]) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		for i := range l {
			if dir == backwards {
				i = len(l) - 1 - i
			}
			for r, err := range scan(l[i]) {
				if !yield(r, err) || err != nil {
					return
				}
			}
		}
	}
}
