package app

import (
	"bufio"
	"bytes"
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
	"strings"
	"time"

	"daybook/internal/audit"
)

type auditVerifyCommand struct {
	File    string   `arg:"" help:"Export to check, compressed or not."`
	Behind  string   `help:"The export goes on behind the head in this file." placeholder:"HEAD"`
	Head    string   `help:"The head that the export itself came with: the file is the same, byte by byte." placeholder:"HEAD"`
	Against []string `help:"Earlier heads, or later ones of the same history: the events up to there are the same." placeholder:"HEAD"`
}

// Run stops at the first thing that is wrong.
func (c auditVerifyCommand) Run(i *invocation) error {
	chain, behind, err := behindHead(c.Behind)
	if err != nil {
		return err
	}
	v := &verification{chain: chain, hash: sha256.New()}
	if behind.Chain == "" {
		v.streams = audit.Streams{}
	}
	if v.heads, err = readHeads(c.Against...); err != nil {
		return err
	}
	if err := v.compare(); err != nil {
		return err
	}
	if err := eachLine(c.File, v.line); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if err := v.end(c.Head); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	_, err = fmt.Fprintf(i.out, "%d lines are sound; chain %s after %d events; %s\n", v.lines, chain.Sum(), chain.Events, v.proof(c))
	return err
}

// verification follows lines and compares with the heads that lie on the way.
type verification struct {
	chain   *audit.Chain
	streams audit.Streams // nil where the beginning is not known
	hash    hash.Hash
	heads   []audit.Head // that are still to be met
	lines   int
}

func (v *verification) line(text []byte) error {
	_, _ = v.hash.Write(append(text, '\n'))
	v.lines++
	line, err := audit.ParseLine(text)
	if err == nil {
		err = v.chain.Follow(line)
	}
	if err == nil && v.streams != nil {
		err = v.streams.Follow(line)
	}
	if err == nil {
		err = v.compare()
	}
	if err != nil {
		return fmt.Errorf("line %d: %w", v.lines, err)
	}
	return nil
}

var errOtherHistory = errors.New("this is not the history that the head was made of: events up to there were changed, removed, put in or moved")

// compare compares with the heads that are reached.
func (v *verification) compare() error {
	left := v.heads[:0]
	for _, head := range v.heads {
		switch {
		case head.Events != v.chain.Events:
			left = append(left, head)
		case head.Chain != v.chain.Sum():
			return fmt.Errorf("%w (head of %s, %d events)", errOtherHistory, head.At.Format(time.RFC3339), head.Events)
		}
	}
	v.heads = left
	return nil
}

// end refuses what is shorter than a head, and another file than the head's own.
func (v *verification) end(own string) error {
	for _, head := range v.heads {
		return fmt.Errorf("%w (head of %s has %d events, here are %d)", errOtherHistory, head.At.Format(time.RFC3339), head.Events, v.chain.Events)
	}
	if own == "" {
		return nil
	}
	head, err := readHead(own)
	if err != nil {
		return err
	}
	if head.Events != v.chain.Events || head.Chain != v.chain.Sum() || head.File != hex.EncodeToString(v.hash.Sum(nil)) {
		return errors.New("this is not the file that the head was made of")
	}
	return nil
}

// proof says what has been shown, so that nobody takes it for more.
func (v *verification) proof(c auditVerifyCommand) string {
	if len(c.Against) == 0 && c.Head == "" {
		return "compared with nothing that was kept elsewhere: whoever wrote the file may have made it all up"
	}
	return "the same as the heads say"
}

type auditHeadCommand struct {
	Against []string `help:"Earlier heads: the events up to there are the same." placeholder:"HEAD"`
}

// Run reads the whole store and prints the head of its chain; it fails when an earlier
// head is not that of a beginning of it.
func (c auditHeadCommand) Run(i *invocation) error {
	heads, err := readHeads(c.Against...)
	if err != nil {
		return err
	}
	return i.replay(auditFilter{}, "ReadAuditHead", func(q *audit.Query) { q.Boxes = true }, func(ctx context.Context, replay *audit.Replay, cursors audit.Cursors) error {
		began := time.Now()
		v := &verification{chain: &audit.Chain{}, streams: audit.Streams{}, hash: sha256.New(), heads: heads}
		if err := v.follow(ctx, replay); err != nil {
			return err
		}
		if err := v.end(""); err != nil {
			return err
		}
		text, err := json.Marshal(audit.Head{StoreID: cursors.Store(), Events: v.chain.Events, Chain: v.chain.Sum(), Position: replay.Position(), At: began.UTC().Truncate(time.Second)})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(i.out, string(text))
		return err
	})
}

// follow takes the lines of a replay for those of a file.
func (v *verification) follow(ctx context.Context, replay *audit.Replay) error {
	chain := &audit.Chain{}
	for batch, err := range replay.Batches(ctx) {
		if err != nil {
			return err
		}
		for _, line := range batch.Lines {
			text, err := chain.Extend(line.JSON)
			if err == nil {
				err = v.line(text)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// behindHead is the chain behind the head in the file; from the start without one.
func behindHead(path string) (*audit.Chain, audit.Head, error) {
	if path == "" {
		return &audit.Chain{}, audit.Head{}, nil
	}
	head, err := readHead(path)
	if err != nil {
		return nil, audit.Head{}, err
	}
	chain, err := audit.ParseChain(head.Events, head.Chain)
	return chain, head, err
}

func readHeads(paths ...string) (heads []audit.Head, err error) {
	for _, path := range paths {
		head, err := readHead(path)
		if err != nil {
			return nil, err
		}
		heads = append(heads, head)
	}
	return heads, nil
}

func readHead(path string) (audit.Head, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return audit.Head{}, err
	}
	var head audit.Head
	if err := json.Unmarshal(content, &head); err != nil {
		return audit.Head{}, fmt.Errorf("%s is no head: %w", path, err)
	}
	if _, err := audit.ParseChain(head.Events, head.Chain); err != nil {
		return audit.Head{}, fmt.Errorf("%s is no head: %w", path, err)
	}
	return head, nil
}

// eachLine reads a file of lines, however long they are.
func eachLine(path string, do func([]byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	var from io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if from, err = gzip.NewReader(file); err != nil {
			return err
		}
	}
	reader := bufio.NewReaderSize(from, 64<<10)
	for {
		text, err := reader.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF) && len(text) == 0:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("the last line is cut off")
		case err != nil:
			return err
		}
		if err := do(bytes.TrimSuffix(text, []byte("\n"))); err != nil {
			return err
		}
	}
}
