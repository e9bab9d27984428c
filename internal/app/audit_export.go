package app

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"daybook/internal/audit"
)

type auditExportCommand struct {
	auditFilter
	File string `arg:"" help:"File to write, one event a line; compressed when its name ends in .gz. It must not exist yet."`
}

// Run writes the file whole or not at all.
func (c auditExportCommand) Run(i *invocation) error {
	if _, err := os.Lstat(c.File); err == nil {
		return fmt.Errorf("%s exists already; choose another name", c.File)
	}
	return i.replay(c.auditFilter, "ExportAudit", func(*audit.Query) {}, func(ctx context.Context, replay *audit.Replay, cursors audit.Cursors) error {
		p := &progress{out: i.notes, from: replay.Position(), tail: replay.Tail()}
		err := createWhole(c.File, func(out io.Writer) error { return exportTo(ctx, out, replay, p) })
		if err != nil {
			return fmt.Errorf("export to %s: %w", c.File, err)
		}
		_, err = fmt.Fprintf(i.notes, "%d events in %s. What comes later: --after %s\n", p.events, c.File, cursors.At(replay.Position()))
		return err
	})
}

func exportTo(ctx context.Context, out io.Writer, replay *audit.Replay, p *progress) error {
	for batch, err := range replay.Batches(ctx) {
		if err != nil {
			return err
		}
		if err := writeLines(out, batch); err != nil {
			return err
		}
		p.seen(batch)
	}
	return nil
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
