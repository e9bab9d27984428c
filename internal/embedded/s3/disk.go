package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rclone/gofakes3"
)

// disk is the storage behind the protocol:
//
//	<dir>/<bucket>/data/<random>         the bytes of one version of an object
//	<dir>/<bucket>/meta/<hash of key>    its description, which names the data
//	<dir>/<bucket>/temporary/            what is not finished
//
// A description is renamed into place when the data is durable, and that is the
// commit. Data that no description names is what a crash left; it is removed at
// the start.
type disk struct {
	directory string

	mu      sync.RWMutex // guards what follows and the commits on disk
	buckets map[string]*bucket
}

type bucket struct {
	created time.Time
	objects map[string]description
	sorted  []string // the keys, or nil when they must be sorted anew
}

var subdirectories = []string{"data", "meta", "temporary"}

func openDisk(directory string) (*disk, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, fmt.Errorf("create the object directory: %w", err)
	}
	d := &disk{directory: directory, buckets: map[string]*bucket{}}
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, fmt.Errorf("read the object directory: %w", err)
	}
	for _, entry := range entries {
		if gofakes3.ValidateBucketName(entry.Name()) != nil || !entry.IsDir() {
			continue // not ours
		}
		if err := d.load(entry.Name()); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// load reads a bucket and removes what a crash left in it.
func (d *disk) load(name string) error {
	if err := d.makeBucketDirectories(name); err != nil { // a crash may have left some
		return err
	}
	info, err := os.Stat(filepath.Join(d.directory, name))
	if err != nil {
		return fmt.Errorf("read bucket %s: %w", name, err)
	}
	b := &bucket{created: info.ModTime(), objects: map[string]description{}}
	if err := d.loadDescriptions(name, b); err != nil {
		return err
	}
	d.buckets[name] = b
	return d.removeOrphans(name, b)
}

func (d *disk) loadDescriptions(name string, b *bucket) error {
	files, err := os.ReadDir(d.path(name, "meta", ""))
	if err != nil {
		return fmt.Errorf("read bucket %s: %w", name, err)
	}
	for _, file := range files {
		o, err := readDescription(d.path(name, "meta", file.Name()))
		if err != nil {
			return err
		}
		b.objects[o.Key] = o
	}
	return nil
}

func (d *disk) removeOrphans(name string, b *bucket) error {
	named := map[string]bool{}
	for _, o := range b.objects {
		named[o.Data] = true
	}
	for _, sub := range []string{"data", "temporary"} {
		files, err := os.ReadDir(d.path(name, sub, ""))
		if err != nil {
			return fmt.Errorf("read bucket %s: %w", name, err)
		}
		for _, file := range files {
			if sub == "data" && named[file.Name()] {
				continue
			}
			if err := os.Remove(d.path(name, sub, file.Name())); err != nil {
				return fmt.Errorf("remove unfinished data: %w", err)
			}
		}
	}
	return nil
}

func (d *disk) path(bucketName, sub, file string) string {
	return filepath.Join(d.directory, bucketName, sub, file)
}

func (d *disk) makeBucketDirectories(name string) error {
	for _, sub := range subdirectories {
		if err := os.MkdirAll(d.path(name, sub, ""), 0o700); err != nil {
			return fmt.Errorf("create bucket %s: %w", name, err)
		}
	}
	return errors.Join(syncDirectory(filepath.Join(d.directory, name)), syncDirectory(d.directory))
}

// ListBuckets implements gofakes3.Backend.
func (d *disk) ListBuckets(context.Context) ([]gofakes3.BucketInfo, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var all []gofakes3.BucketInfo
	for name, b := range d.buckets {
		all = append(all, gofakes3.BucketInfo{Name: name, CreationDate: gofakes3.NewContentTime(b.created)})
	}
	slices.SortFunc(all, func(a, b gofakes3.BucketInfo) int { return slices.Compare([]byte(a.Name), []byte(b.Name)) })
	return all, nil
}

// CreateBucket implements gofakes3.Backend.
func (d *disk) CreateBucket(_ context.Context, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.buckets[name] != nil {
		return gofakes3.ResourceError(gofakes3.ErrBucketAlreadyExists, name)
	}
	if err := d.makeBucketDirectories(name); err != nil {
		return err
	}
	d.buckets[name] = &bucket{created: time.Now(), objects: map[string]description{}}
	return nil
}

// BucketExists implements gofakes3.Backend.
func (d *disk) BucketExists(_ context.Context, name string) (bool, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.buckets[name] != nil, nil
}

// DeleteBucket implements gofakes3.Backend.
func (d *disk) DeleteBucket(_ context.Context, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.buckets[name]
	switch {
	case b == nil:
		return gofakes3.BucketNotFound(name)
	case len(b.objects) > 0:
		return gofakes3.ResourceError(gofakes3.ErrBucketNotEmpty, name)
	}
	if err := os.RemoveAll(filepath.Join(d.directory, name)); err != nil {
		return fmt.Errorf("delete bucket %s: %w", name, err)
	}
	delete(d.buckets, name)
	return nil
}

// find returns the description of an object, or the protocol's error.
func (d *disk) find(bucketName, key string) (description, error) {
	b := d.buckets[bucketName]
	if b == nil {
		return description{}, gofakes3.BucketNotFound(bucketName)
	}
	o, ok := b.objects[key]
	if !ok {
		return description{}, gofakes3.KeyNotFound(key)
	}
	return o, nil
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
