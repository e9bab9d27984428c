package app

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"daybook/internal/audit"
)

type auditExportCommand struct {
	auditFilter
	Behind string `help:"Go on behind the head in this file: the chain, too." placeholder:"HEAD"`
	Head   string `help:"File to write the head to, for somebody to keep whom the operator cannot overrule." placeholder:"PATH"`
	File   string `arg:"" help:"File to write, one event a line; compressed when its name ends in .gz. It must not exist yet."`
}

// Run writes the file whole or not at all.
func (c auditExportCommand) Run(i *invocation) error {
	for _, path := range []string{c.File, c.Head} {
		if _, err := os.Lstat(path); path != "" && err == nil {
			return fmt.Errorf("%s exists already; choose another name", path)
		}
	}
	chain, behind, err := c.chain()
	if err != nil {
		return err
	}
	want := func(q *audit.Query) {
		q.Boxes = chain != nil
		q.After = max(q.After, behind.Position)
	}
	return i.replay(c.auditFilter, "ExportAudit", want, func(ctx context.Context, replay *audit.Replay, cursors audit.Cursors) error {
		if behind.Chain != "" && behind.StoreID != cursors.Store() {
			return errOtherChain
		}
		e := &export{chain: chain, hash: sha256.New(), began: time.Now(), progress: progress{out: i.notes, from: replay.Position(), tail: replay.Tail()}}
		err := createWhole(c.File, func(out io.Writer) error { return e.write(ctx, out, replay) })
		if err != nil {
			return fmt.Errorf("export to %s: %w", c.File, err)
		}
		if err := e.tell(i, c.Head, cursors.Store(), replay.Position()); err != nil {
			return err
		}
		_, err = fmt.Fprintf(i.notes, "%d events in %s. What comes later: --after %s\n", e.events, c.File, cursors.At(replay.Position()))
		return err
	})
}

var (
	errNoChain    = errors.New("only a whole export has a chain: without --after, --account, --type, --since and --until")
	errOtherChain = errors.New("the head is of another event store, or of one that this is a copy of: begin without --behind, and compare with --against")
)

// chain is nil for an export of a selection.
func (c auditExportCommand) chain() (*audit.Chain, audit.Head, error) {
	whole := c.After == "" && c.Account == "" && len(c.Type) == 0 && c.Since == "" && c.Until == ""
	switch {
	case !whole && (c.Head != "" || c.Behind != ""):
		return nil, audit.Head{}, errNoChain
	case !whole:
		return nil, audit.Head{}, nil
	case c.Behind == "":
		return &audit.Chain{}, audit.Head{}, nil
	}
	return behindHead(c.Behind)
}

// export writes lines, with their chain if there is one.
type export struct {
	progress
	chain *audit.Chain
	hash  hash.Hash // of the file
	began time.Time
}

func (e *export) write(ctx context.Context, out io.Writer, replay *audit.Replay) error {
	out = io.MultiWriter(out, e.hash)
	for batch, err := range replay.Batches(ctx) {
		if err != nil {
			return err
		}
		for i := range batch.Lines {
			if e.chain == nil {
				break
			}
			if batch.Lines[i].JSON, err = e.chain.Extend(batch.Lines[i].JSON); err != nil {
				return err
			}
		}
		if err := writeLines(out, batch); err != nil {
			return err
		}
		e.seen(batch)
	}
	return nil
}

// tell shows the head, and writes it where it is wanted.
func (e *export) tell(i *invocation, path string, store uuid.UUID, position uint64) error {
	if e.chain == nil {
		return nil
	}
	head := audit.Head{
		StoreID: store, Events: e.chain.Events, Chain: e.chain.Sum(), Position: position, At: e.began.UTC().Truncate(time.Second),
		File: hex.EncodeToString(e.hash.Sum(nil)),
	}
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	if path != "" {
		if err := writeSynced(path, append(text, '\n')); err != nil {
			return fmt.Errorf("write the head: %w", err)
		}
	}
	_, err = fmt.Fprintf(i.notes, "head %s\n", text)
	return err
}

// createWhole writes a file under a temporary name, for the owner's eyes only,
// and gives it its name when it is on disk.
func createWhole(path string, write func(io.Writer) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // it may have its name already
		}
	}()
	if err := errors.Join(writeTo(file, strings.HasSuffix(path, ".gz"), write), file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func writeTo(file *os.File, compressed bool, write func(io.Writer) error) error {
	buffer := bufio.NewWriterSize(file, 64<<10)
	if !compressed {
		return errors.Join(write(buffer), buffer.Flush())
	}
	packer := gzip.NewWriter(buffer)
	return errors.Join(write(packer), packer.Close(), buffer.Flush())
}
