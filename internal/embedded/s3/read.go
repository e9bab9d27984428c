package s3

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/rclone/gofakes3"
)

// GetObject implements gofakes3.Backend.
func (d *disk) GetObject(_ context.Context, bucketName, key string, requested *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	// The file is opened under the lock: a PUT after it cannot take it away.
	d.mu.RLock()
	defer d.mu.RUnlock()
	o, err := d.find(bucketName, key)
	if err != nil {
		return nil, err
	}
	bounds, err := requested.Range(o.Size)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(d.path(bucketName, "data", o.Data))
	if err != nil {
		return nil, fmt.Errorf("open an object: %w", err)
	}
	object := describe(o)
	object.Contents, object.Range = file, bounds
	if bounds != nil {
		section := io.NewSectionReader(file, bounds.Start, bounds.Length)
		object.Contents = sectionOfFile{section, file}
	}
	return object, nil
}

// sectionOfFile closes the file whose section it reads.
type sectionOfFile struct {
	*io.SectionReader
	file *os.File
}

func (s sectionOfFile) Close() error { return s.file.Close() }

// HeadObject implements gofakes3.Backend.
func (d *disk) HeadObject(_ context.Context, bucketName, key string) (*gofakes3.Object, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	o, err := d.find(bucketName, key)
	if err != nil {
		return nil, err
	}
	object := describe(o)
	object.Contents = io.NopCloser(strings.NewReader(""))
	return object, nil
}

func describe(o description) *gofakes3.Object {
	return &gofakes3.Object{Name: o.Key, Metadata: maps.Clone(o.Metadata), Size: o.Size, Hash: o.MD5}
}

// ListBucket implements gofakes3.Backend.
func (d *disk) ListBucket(_ context.Context, name string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	d.mu.Lock() // sorting writes
	defer d.mu.Unlock()
	b := d.buckets[name]
	if b == nil {
		return nil, gofakes3.BucketNotFound(name)
	}
	keys := b.keysAfter(page.Marker)
	l := listing{prefix: realPrefix(prefix), page: page, list: gofakes3.NewObjectList()}
	for _, key := range keys {
		if !l.add(b.objects[key]) {
			break
		}
	}
	if !l.list.IsTruncated {
		l.list.NextMarker = ""
	}
	return l.list, nil
}

// realPrefix takes an empty delimiter for none. minio-go always sends the
// parameter, and the library would group the keys by every character.
func realPrefix(given *gofakes3.Prefix) gofakes3.Prefix {
	if given == nil {
		return gofakes3.Prefix{}
	}
	prefix := *given
	prefix.HasDelimiter = prefix.Delimiter != ""
	prefix.HasPrefix = prefix.Prefix != ""
	return prefix
}

func (b *bucket) keysAfter(marker string) []string {
	if b.sorted == nil {
		b.sorted = slices.Sorted(maps.Keys(b.objects)) // by bytes, as S3
	}
	at, found := slices.BinarySearch(b.sorted, marker)
	if found {
		at++
	}
	return b.sorted[at:]
}

// listing fills one page.
type listing struct {
	prefix gofakes3.Prefix
	page   gofakes3.ListBucketPage
	list   *gofakes3.ObjectList
	count  int64
	group  string // the common prefix that was added last
}

// add reports false when the page is full. The marker of the next page is the last
// key seen, also inside a group, so that a group is named once over all pages.
func (l *listing) add(o description) bool {
	var match gofakes3.PrefixMatch
	if !l.prefix.Match(o.Key, &match) {
		return true
	}
	if match.CommonPrefix && match.MatchedPart == l.group || l.inGroupOfFormerPage(match) {
		l.list.NextMarker = o.Key
		return true
	}
	if l.page.MaxKeys > 0 && l.count == l.page.MaxKeys {
		l.list.IsTruncated = true
		return false
	}
	l.count++
	l.list.NextMarker = o.Key
	if match.CommonPrefix {
		l.group = match.MatchedPart
		l.list.AddPrefix(match.MatchedPart)
		return true
	}
	l.list.Add(&gofakes3.Content{
		Key: o.Key, LastModified: gofakes3.NewContentTime(o.Modified), ETag: o.etag(), Size: o.Size,
	})
	return true
}

// inGroupOfFormerPage applies when a client goes on from within a group.
func (l *listing) inGroupOfFormerPage(match gofakes3.PrefixMatch) bool {
	return match.CommonPrefix && l.page.Marker != "" && strings.HasPrefix(l.page.Marker, match.MatchedPart)
}
