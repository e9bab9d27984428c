package thumbnail

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// Limits of an upload and of the result.
const (
	MaxBytes  = 2 << 20    // of an upload
	MaxPixels = 25_000_000 // of an upload
	MaxSide   = 512        // pixels, of a thumbnail

	maxAspect = 20 // the longer side by the shorter
)

// Config bounds memory and waiting over all uploads. Zero members get their defaults.
type Config struct {
	// MemoryBudget is how many bytes all decoding together may take. A picture that
	// needs more alone is refused. Default: 448 MiB, enough for 25 megapixels in all
	// but the most wasteful encodings.
	MemoryBudget int64
	// Wait is how long an upload waits for its share. Default: 2 s.
	Wait time.Duration
	// Waiting is how many uploads may wait. Default: 16.
	Waiting int
}

// Processor makes thumbnails. Its methods may be used at the same time.
type Processor struct {
	config  Config
	memory  *semaphore.Weighted
	waiting atomic.Int64
}

// Thumbnail is the picture that was drawn anew from an upload.
type Thumbnail struct {
	ContentType   string // image/jpeg, or image/png when parts are transparent
	Content       []byte
	Width, Height int // pixels
}

// New returns a processor; zero members of config get their defaults.
func New(config Config) *Processor {
	if config.MemoryBudget <= 0 {
		config.MemoryBudget = 448 << 20
	}
	if config.Wait <= 0 {
		config.Wait = 2 * time.Second
	}
	if config.Waiting <= 0 {
		config.Waiting = 16
	}
	return &Processor{config: config, memory: semaphore.NewWeighted(config.MemoryBudget)}
}

// Process makes a thumbnail of an upload. Errors: a *RefusedError, ErrBusy, or that
// of ctx, which is heeded while waiting; decoding itself takes at most seconds.
func (p *Processor) Process(ctx context.Context, upload []byte) (Thumbnail, error) {
	found, err := inspect(upload)
	if err != nil {
		return Thumbnail{}, err
	}
	share, err := p.acquire(ctx, found.memory)
	if err != nil {
		return Thumbnail{}, err
	}
	defer p.memory.Release(share)
	picture, err := decode(found.format, upload)
	if err != nil {
		return Thumbnail{}, ErrDamaged
	}
	return encode(orient(reduce(picture), found.orientation))
}

// acquire takes a share of the memory, at least so much that twice as many uploads
// as there are processors are under way.
func (p *Processor) acquire(ctx context.Context, need int64) (int64, error) {
	if need > p.config.MemoryBudget {
		return 0, ErrTooComplex
	}
	share := max(need, p.config.MemoryBudget/int64(2*runtime.GOMAXPROCS(0)))
	if p.memory.TryAcquire(share) {
		return share, nil
	}
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > int64(p.config.Waiting) {
		return 0, ErrBusy
	}
	waiting, cancel := context.WithTimeout(ctx, p.config.Wait)
	defer cancel()
	err := p.memory.Acquire(waiting, share)
	switch {
	case err == nil:
		return share, nil
	case ctx.Err() != nil:
		return 0, fmt.Errorf("wait to make a thumbnail: %w", ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		return 0, ErrBusy
	default:
		return 0, fmt.Errorf("wait to make a thumbnail: %w", err)
	}
}
