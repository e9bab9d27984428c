package node

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"path/filepath"
	"strconv"

	"github.com/google/uuid"
)

// ErrNotRunning says that no node serves the control channel of the file.
var ErrNotRunning = errors.New("no running event store answers for the file")

// BackupRunning does what Backup does, for the file source that a node of another
// process has open and serves the control channel of. The error is ErrNotRunning when
// there is none.
func BackupRunning(ctx context.Context, source, target string) (err error) {
	short, forget, err := shortcut(source + controlSuffix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, forget()) }()
	r, err := askBackup(ctx, filepath.Join(short, controlSocket))
	if err != nil {
		return err
	}
	if err := copyLog(r, r.limit, target); err != nil {
		return errors.Join(fmt.Errorf("back up to %s: %w", target, err), r.close())
	}
	return r.close()
}

// askBackup begins a backup of the node behind the socket.
func askBackup(ctx context.Context, socket string) (*received, error) {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			connection, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
			if err != nil {
				err = fmt.Errorf("%w: %w", ErrNotRunning, err)
			}
			return connection, err
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://event-store"+backupPath, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("running event store answers %s", answer.Status), answer.Body.Close())
	}
	r := &received{body: answer.Body, from: bufio.NewReaderSize(answer.Body, sendBuffer)}
	var errID, errLimit error
	r.id, errID = uuid.Parse(answer.Header.Get(storeIDHeader))
	r.limit, errLimit = strconv.ParseUint(answer.Header.Get(lastPositionHeader), 10, 64)
	if err := errors.Join(errID, errLimit); err != nil {
		return nil, errors.Join(fmt.Errorf("running event store's answer: %w", err), r.close())
	}
	return r, nil
}

// received is a log that comes from a running node. It is storage to be copied from: it
// can be read once, from its first position to its last.
type received struct {
	id    uuid.UUID
	limit uint64
	body  io.Closer
	from  *bufio.Reader
	// last is the position read last.
	last uint64
}

var errReadOnce = errors.New("a backup on its way can only be read once, in order")

func (r *received) identity() uuid.UUID { return r.id }

func (r *received) close() error { return r.body.Close() }

func (r *received) commit([]record) error { return errReadOnce }

func (r *received) view(read func(snapshot) error) error { return read(r) }

func (r *received) stream(string, int64, direction) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) { yield(record{}, errReadOnce) }
}

func (r *received) all(from uint64, dir direction) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		if from != r.last+1 || dir == backwards {
			yield(record{}, errReadOnce)
			return
		}
		for r.last < r.limit {
			next, err := r.receive()
			if !yield(next, err) || err != nil {
				return
			}
		}
	}
}

// receive reads the next record.
func (r *received) receive() (record, error) {
	var length [4]byte
	if _, err := io.ReadFull(r.from, length[:]); err != nil {
		return record{}, fmt.Errorf("event %d of %d: %w", r.last+1, r.limit, err)
	}
	size := binary.BigEndian.Uint32(length[:])
	if size > 2*maxMessageSize {
		return record{}, errCorrupt
	}
	stored := make([]byte, size)
	if _, err := io.ReadFull(r.from, stored); err != nil {
		return record{}, fmt.Errorf("event %d of %d: %w", r.last+1, r.limit, err)
	}
	r.last++
	return decodeRecord(r.last, stored)
}
