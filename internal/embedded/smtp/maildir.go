package smtp

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// envelopeHeader is the first line of every file; the rest is as it was received.
const envelopeHeader = "Daybook-Envelope: "

var errClosed = errors.New("the mailbox is closed")

// entry is what is known of a message without its file.
type entry struct {
	id       string // also the file's name
	envelope envelope
}

// maildir keeps messages in the manner of https://cr.yp.to/proto/maildir.html: a
// file is written and synced in tmp, then renamed into new, so that what is in
// new is whole. An index in memory spares reading the files of other recipients.
type maildir struct {
	directory string
	capacity  int
	changes   changes

	mu      sync.RWMutex
	entries []entry // oldest first
	last    int64   // newest time in an id
	closed  bool
}

func openMaildir(directory string, capacity int) (*maildir, error) {
	for _, name := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(directory, name), 0o700); err != nil {
			return nil, fmt.Errorf("create the mailbox: %w", err)
		}
	}
	m := &maildir{directory: directory, capacity: capacity}
	if err := m.removeUnfinished(); err != nil {
		return nil, err
	}
	return m, m.load()
}

func (m *maildir) removeUnfinished() error {
	left, err := os.ReadDir(filepath.Join(m.directory, "tmp"))
	if err != nil {
		return fmt.Errorf("read the mailbox: %w", err)
	}
	for _, file := range left {
		if err := os.Remove(filepath.Join(m.directory, "tmp", file.Name())); err != nil {
			return fmt.Errorf("remove an unfinished message: %w", err)
		}
	}
	return nil
}

func (m *maildir) load() error {
	files, err := os.ReadDir(filepath.Join(m.directory, "new")) // sorted by name, so by time
	if err != nil {
		return fmt.Errorf("read the mailbox: %w", err)
	}
	for _, file := range files {
		received, ok := timeOf(file.Name())
		if !ok {
			continue // not ours
		}
		from, err := readEnvelope(m.path(file.Name()))
		if err != nil {
			return err
		}
		m.entries = append(m.entries, entry{file.Name(), from})
		m.last = received.UnixMicro()
	}
	return nil
}

func readEnvelope(path string) (envelope, error) {
	file, err := os.Open(path)
	if err != nil {
		return envelope{}, fmt.Errorf("read a message: %w", err)
	}
	defer file.Close()
	first, err := bufio.NewReader(file).ReadBytes('\n')
	if err != nil {
		return envelope{}, fmt.Errorf("read the envelope of a message: %w", err)
	}
	from, _, err := cutEnvelope(first)
	return from, err
}

// cutEnvelope splits a file into the envelope and the message as received.
func cutEnvelope(content []byte) (envelope, []byte, error) {
	first, rest, _ := bytes.Cut(content, []byte("\n"))
	var e envelope
	if err := json.Unmarshal(bytes.TrimPrefix(first, []byte(envelopeHeader)), &e); err != nil {
		return e, nil, fmt.Errorf("read the envelope of a message: %w", err)
	}
	return e, rest, nil
}

func (m *maildir) path(id string) string { return filepath.Join(m.directory, "new", id) }

// store returns when the message is durable. It holds the lock over the write so
// that close and clear see all or nothing; a message is small.
func (m *maildir) store(e envelope, content []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	id := m.newID()
	if err := m.write(id, e, content); err != nil {
		return err
	}
	m.entries = append(m.entries, entry{id, e})
	m.changes.announce()
	return m.dropOldest()
}

// newID begins with a time that is greater than all before it, so that names sort
// as the messages came.
func (m *maildir) newID() string {
	m.last = max(m.last+1, time.Now().UnixMicro())
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return fmt.Sprintf("%016d.%s.localhost", m.last, hex.EncodeToString(random[:]))
}

func timeOf(id string) (time.Time, bool) {
	var microseconds int64
	digits, rest, found := strings.Cut(id, ".")
	if !found || len(digits) != 16 || !strings.HasSuffix(rest, ".localhost") {
		return time.Time{}, false
	}
	if _, err := fmt.Sscanf(digits, "%d", &microseconds); err != nil {
		return time.Time{}, false
	}
	return time.UnixMicro(microseconds).UTC(), true
}

func (m *maildir) write(id string, e envelope, content []byte) error {
	head, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write the envelope: %w", err)
	}
	unfinished := filepath.Join(m.directory, "tmp", id)
	if err := writeSynced(unfinished, []byte(envelopeHeader), head, []byte("\n"), content); err != nil {
		return err
	}
	if err := os.Rename(unfinished, m.path(id)); err != nil {
		return fmt.Errorf("deliver a message: %w", err)
	}
	return syncDirectory(filepath.Join(m.directory, "new"))
}

func writeSynced(path string, pieces ...[]byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create a message: %w", err)
	}
	_, err = file.Write(slices.Concat(pieces...))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write a message: %w", err)
	}
	return nil
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the mailbox: %w", err)
	}
	if err := errors.Join(directory.Sync(), directory.Close()); err != nil {
		return fmt.Errorf("sync the mailbox: %w", err)
	}
	return nil
}

func (m *maildir) dropOldest() error {
	for len(m.entries) > m.capacity {
		if err := m.remove(m.entries[0].id); err != nil {
			return err
		}
		m.entries = m.entries[1:]
	}
	return nil
}

func (m *maildir) remove(id string) error {
	if err := os.Remove(m.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a message: %w", err)
	}
	return nil
}

func (m *maildir) clear() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.entries) > 0 {
		if err := m.remove(m.entries[0].id); err != nil {
			return err
		}
		m.entries = m.entries[1:]
	}
	m.changes.announce()
	return nil
}

func (m *maildir) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
}

// messages reads those to an address, or all, newest first.
func (m *maildir) messages(to string) ([]Message, error) { return m.newest(to, m.capacity) }

func (m *maildir) newest(to string, limit int) ([]Message, error) {
	found := []Message{}
	ids := m.idsTo(to)
	for _, id := range ids[:min(limit, len(ids))] {
		message, err := m.message(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // cleared in between
		}
		if err != nil {
			return nil, err
		}
		found = append(found, message)
	}
	return found, nil
}

func (m *maildir) idsTo(to string) []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var ids []string
	for _, e := range slices.Backward(m.entries) {
		if to == "" || slices.ContainsFunc(e.envelope.To, func(one string) bool { return strings.EqualFold(one, to) }) {
			ids = append(ids, e.id)
		}
	}
	return ids
}

// message returns fs.ErrNotExist for an id that is not there or not one.
func (m *maildir) message(id string) (Message, error) {
	received, ok := timeOf(id)
	if !ok || id != filepath.Base(id) {
		return Message{}, fs.ErrNotExist
	}
	content, err := os.ReadFile(m.path(id))
	if err != nil {
		return Message{}, fmt.Errorf("read a message: %w", err)
	}
	e, raw, err := cutEnvelope(content)
	if err != nil {
		return Message{}, err
	}
	message := parseMessage(raw)
	message.ID, message.ReceivedAt, message.To = id, received, e.To
	if message.From == "" {
		message.From = e.From
	}
	return message, nil
}
