package s3

import (
	"context"
	"crypto/md5" // the ETag is defined so; it protects against nothing
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"time"

	"github.com/rclone/gofakes3"
)

// PutObject implements gofakes3.Backend. The data is received without the lock; the
// condition of If-Match or If-None-Match is checked again under it.
func (d *disk) PutObject(ctx context.Context, bucketName, key string, metadata map[string]string, input io.Reader, _ int64) (gofakes3.PutObjectResult, error) {
	if exists, err := d.BucketExists(ctx, bucketName); err != nil {
		return gofakes3.PutObjectResult{}, err
	} else if !exists {
		return gofakes3.PutObjectResult{}, gofakes3.BucketNotFound(bucketName)
	}
	o := description{Key: key, Data: randomName(), Metadata: maps.Clone(metadata), Modified: time.Now().UTC()}
	if err := d.receive(bucketName, &o, input); err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	if err := d.commit(ctx, bucketName, o); err != nil {
		_ = os.Remove(d.path(bucketName, "data", o.Data)) // else an orphan, removed at the next start
		return gofakes3.PutObjectResult{}, err            // unwrapped: the library answers by its type
	}
	return gofakes3.PutObjectResult{}, nil
}

// receive makes the data durable and fills in what is known only after it. The
// library's reader fails when the data does not match what the client announced.
func (d *disk) receive(bucketName string, o *description, input io.Reader) error {
	path := d.path(bucketName, "data", o.Data)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create an object: %w", err)
	}
	hash := md5.New()
	size, err := io.Copy(io.MultiWriter(file, hash), input)
	if err != nil {
		_ = file.Close()
		_ = os.Remove(path)
		return err // unwrapped: the library answers by the type of its own errors
	}
	if err := errors.Join(file.Sync(), file.Close(), syncDirectory(d.path(bucketName, "data", ""))); err != nil {
		return fmt.Errorf("write an object: %w", err)
	}
	o.Size, o.MD5 = size, hash.Sum(nil)
	return nil
}

// commit puts the description in its place, on disk and in memory.
func (d *disk) commit(ctx context.Context, bucketName string, o description) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.buckets[bucketName]
	if b == nil {
		return gofakes3.BucketNotFound(bucketName)
	}
	former, exists := b.objects[o.Key]
	if err := gofakes3.CheckWriteConditions(ctx, exists, hex.EncodeToString(former.MD5)); err != nil {
		return err
	}
	if err := d.writeDescription(bucketName, o); err != nil {
		return err
	}
	b.objects[o.Key] = o
	if !exists {
		b.sorted = nil
		return nil
	}
	// A reader that has it open reads on; after a crash it is an orphan.
	return ignoreAbsent(os.Remove(d.path(bucketName, "data", former.Data)))
}

func (d *disk) writeDescription(bucketName string, o description) error {
	content, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("describe an object: %w", err)
	}
	unfinished := d.path(bucketName, "temporary", o.Data)
	file, err := os.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create a description: %w", err)
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write a description: %w", err)
	}
	if err := os.Rename(unfinished, d.path(bucketName, "meta", descriptionName(o.Key))); err != nil {
		return fmt.Errorf("commit an object: %w", err)
	}
	return syncDirectory(d.path(bucketName, "meta", ""))
}

// CopyObject implements gofakes3.Backend.
func (d *disk) CopyObject(ctx context.Context, fromBucket, fromKey, toBucket, toKey string, metadata map[string]string) (gofakes3.CopyObjectResult, error) {
	source, err := d.GetObject(ctx, fromBucket, fromKey, nil)
	if err != nil {
		return gofakes3.CopyObjectResult{}, err
	}
	defer source.Contents.Close()
	if _, err := d.PutObject(ctx, toBucket, toKey, metadata, source.Contents, source.Size); err != nil {
		return gofakes3.CopyObjectResult{}, err
	}
	return gofakes3.CopyObjectResult{
		ETag: `"` + hex.EncodeToString(source.Hash) + `"`, LastModified: gofakes3.NewContentTime(time.Now()),
	}, nil
}

// DeleteObject implements gofakes3.Backend. An absent key is no error (S3).
func (d *disk) DeleteObject(_ context.Context, bucketName, key string) (gofakes3.ObjectDeleteResult, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.buckets[bucketName]
	if b == nil {
		return gofakes3.ObjectDeleteResult{}, gofakes3.BucketNotFound(bucketName)
	}
	o, exists := b.objects[key]
	if !exists {
		return gofakes3.ObjectDeleteResult{}, nil
	}
	if err := os.Remove(d.path(bucketName, "meta", descriptionName(key))); err != nil {
		return gofakes3.ObjectDeleteResult{}, fmt.Errorf("delete an object: %w", err)
	}
	delete(b.objects, key)
	b.sorted = nil
	return gofakes3.ObjectDeleteResult{}, errors.Join(
		syncDirectory(d.path(bucketName, "meta", "")),
		ignoreAbsent(os.Remove(d.path(bucketName, "data", o.Data))),
	)
}

// DeleteMulti implements gofakes3.Backend.
func (d *disk) DeleteMulti(ctx context.Context, bucketName string, keys ...string) (gofakes3.MultiDeleteResult, error) {
	var result gofakes3.MultiDeleteResult
	for _, key := range keys {
		if _, err := d.DeleteObject(ctx, bucketName, key); err != nil {
			result.Error = append(result.Error, gofakes3.ErrorResultFromError(err))
			continue
		}
		result.Deleted = append(result.Deleted, gofakes3.ObjectID{Key: key})
	}
	return result, nil
}
