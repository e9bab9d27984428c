package node

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// The disk fails by devices and modes that make the system fail: nothing is put in the
// place of a file but another file.

// replaceLog makes what is written to the log go to a device.
func replaceLog(t *testing.T, s *loggedStorage, device string) {
	t.Helper()
	file, err := os.OpenFile(device, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	was := s.active.file
	s.active.file = file
	t.Cleanup(func() { _ = was.Close() })
}

// makeReadOnly makes bbolt refuse to write, as on a file system that became read-only.
func makeReadOnly(t *testing.T, s *loggedStorage) {
	t.Helper()
	err := s.bolt.close()
	if err == nil {
		s.bolt, err = openBoltWith(s.path, &bbolt.Options{ReadOnly: true})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDiskFails: when the log can't be written, can't be synced, or can't be moved into
// the file, appends are refused, everything acknowledged can be read, and nothing of it
// is lost to the next process.
func TestDiskFails(t *testing.T) {
	for name, fail := range map[string]func(*testing.T, *loggedStorage){
		// Writing to it says "no space left on device".
		"log is full": func(t *testing.T, s *loggedStorage) { replaceLog(t, s, "/dev/full") },
		// It takes everything and can't be synced.
		"sync of the log fails": func(t *testing.T, s *loggedStorage) { replaceLog(t, s, "/dev/null") },
		"file is read-only":     makeReadOnly,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.db")
			s := mustOpenLogged(t, path, logOptions{segmentSize: 8 << 10, moveAfter: stillLog.moveAfter})
			w := startWriter(t, s)
			for range 3 {
				if err := w.submit(t.Context(), appendOne("a")); err != nil {
					t.Fatal(err)
				}
			}
			fail(t, s)
			acknowledged := 3
			for w.submit(t.Context(), appendOne("a")) == nil {
				acknowledged++
			}
			if acknowledged > 3 && name != "file is read-only" {
				t.Error("an append was acknowledged that is not in the log")
			}
			for range 2 {
				wantUnavailable(t, w.submit(t.Context(), appendOne("a")))
			}
			if n := visible(t, w); n != acknowledged {
				t.Errorf("%d events are visible, %d were acknowledged", n, acknowledged)
			}
			// A crash now, or a close and a start: both find the same.
			for _, left := range []string{crashed(t, path), path} {
				if left == path {
					_ = s.close() // its error is what failed before
				}
				if got := logAfterCrash(t, left); len(got) != acknowledged {
					t.Errorf("the next process finds %d events, %d were acknowledged", len(got), acknowledged)
				}
			}
		})
	}
}

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if f, ok := errors.AsType[*failure](err); !ok || f.code.String() != "Unavailable" {
		t.Errorf("append to a failed disk: %v, want unavailable", err)
	}
}

// TestFailedMoveIsNotRepeated: after a failed sync of the file nobody knows what of it is
// on disk, so the log is kept for the next process.
func TestFailedMoveIsNotRepeated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := mustOpenLogged(t, path, logOptions{segmentSize: 2 << 10, moveAfter: stillLog.moveAfter})
	makeReadOnly(t, s)
	groups, log := testGroups(1000)
	kept := 0
	for _, group := range groups {
		if err := s.commit(group); err != nil {
			break
		}
		kept += len(group)
	}
	<-s.stopped
	if err := s.close(); !errors.Is(err, s.failure) || s.failure == nil {
		t.Errorf("close after a failed move: %v, want why it failed", err)
	}
	if kept == 0 || kept == len(log) {
		t.Errorf("%d of %d events were taken by a log that can't be moved", kept, len(log))
	}
	if got := logAfterCrash(t, path); !slices.EqualFunc(got, log[:kept], sameRecord) {
		t.Errorf("the next process finds %d events, want %d", len(got), kept)
	}
}

// tailContent is a log file of which the last group is the tail, and where that begins.
func tailContent(t *testing.T, store uuid.UUID, size int64) (content []byte, whole, tail []record, begin int) {
	t.Helper()
	const salt = 11
	groups, log := testGroups(5)
	content = append(segmentHeader(store, size, salt), make([]byte, sectorSize)...)[:sectorSize]
	for i, group := range groups {
		if i == len(groups)-1 {
			begin = len(content)
			whole, tail = log[:len(log)-len(group)], group
			// More than one sector, and no byte that a cut would leave as it is.
			tail[0].data = slices.Repeat([]byte("x"), 3*sectorSize)
		}
		content = appendFrame(content, salt, group)
	}
	return content, whole, tail, begin
}

// TestTornTail cuts and changes the last frame of a log at every byte. What was before it
// is there, or the log is refused: a sector that is missing was never acknowledged, one
// that is not what was written is damage.
func TestTornTail(t *testing.T) {
	store := uuid.New()
	const size = 16 << 10
	frames, whole, tail, begin := tailContent(t, store, size)
	end := len(frames)
	written := append(frames, make([]byte, size-end)...)
	all := append(slices.Clone(whole), tail...)
	for at := begin; at < end; at++ {
		flipped := slices.Clone(written)
		flipped[at] ^= 0x10
		got, err := readSegment(flipped, store)
		padded := err == nil && slices.EqualFunc(got, all, sameRecord)
		if err == nil && !padded || padded && written[at] != framePadding {
			t.Fatalf("byte %d flipped: %d records (%v), want a refusal", at, len(got), err)
		}
		zeroed := slices.Clone(written)
		clear(zeroed[at:end])
		got, err = readSegment(zeroed, store)
		if err == nil && !slices.EqualFunc(got, whole, sameRecord) && !slices.EqualFunc(got, all, sameRecord) {
			t.Fatalf("written up to byte %d: %d records, want %d", at, len(got), len(whole))
		}
		if err != nil && (at-begin)%sectorSize == 0 {
			t.Fatalf("written up to byte %d, the end of a sector: %v", at, err)
		}
		if _, err := readSegment(written[:at], store); err == nil {
			t.Fatalf("file cut off at byte %d: accepted", at)
		}
	}
}

// TestTornTailInAnyOrder leaves out any of the last frame's sectors: a disk that lost
// power has written some and not others, in no order.
func TestTornTailInAnyOrder(t *testing.T) {
	store := uuid.New()
	const size = 16 << 10
	frames, whole, _, begin := tailContent(t, store, size)
	sectors := (len(frames) - begin) / sectorSize
	for written := range 1<<sectors - 1 {
		content := append(slices.Clone(frames), make([]byte, size-len(frames))...)
		for i := range sectors {
			if written&(1<<i) == 0 {
				clear(content[begin+i*sectorSize:][:sectorSize])
			}
		}
		if got, err := readSegment(content, store); err != nil || !slices.EqualFunc(got, whole, sameRecord) {
			t.Fatalf("sectors %b written: %d records (%v), want %d", written, len(got), err, len(whole))
		}
	}
}

// TestDamagedLogIsRefused changes each byte, and zeroes each sector, before the last frame.
func TestDamagedLogIsRefused(t *testing.T) {
	store := uuid.New()
	const size = 16 << 10
	frames, whole, tail, begin := tailContent(t, store, size)
	written := append(frames, make([]byte, size-len(frames))...)
	all := append(slices.Clone(whole), tail...)
	for at := range begin {
		flipped := slices.Clone(written)
		flipped[at] ^= 0x10
		got, err := readSegment(flipped, store)
		if err == nil && !slices.EqualFunc(got, all, sameRecord) {
			t.Fatalf("byte %d flipped: %d records, want %d or a refusal", at, len(got), len(all))
		}
		zeroed := slices.Clone(written)
		clear(zeroed[at/sectorSize*sectorSize:][:sectorSize])
		if got, err := readSegment(zeroed, store); err == nil {
			t.Fatalf("sector of byte %d zeroed: accepted, with %d records", at, len(got))
		}
	}
}
