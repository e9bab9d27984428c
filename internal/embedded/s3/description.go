package s3

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// description is what is known of an object besides its bytes.
type description struct {
	Key      string            `json:"key"`
	Data     string            `json:"data"` // name of the file with the bytes
	Size     int64             `json:"size"` // bytes
	MD5      []byte            `json:"md5"`  // the ETag
	Metadata map[string]string `json:"metadata"`
	Modified time.Time         `json:"modified"` // UTC
}

func (o description) etag() string { return `"` + hex.EncodeToString(o.MD5) + `"` }

// descriptionName is the file of a key's description: a key may be longer than a
// file name, and hold anything.
func descriptionName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func readDescription(path string) (description, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return description{}, fmt.Errorf("read the description of an object: %w", err)
	}
	var o description
	if err := json.Unmarshal(content, &o); err != nil {
		return description{}, fmt.Errorf("read the description of an object in %s: %w", path, err)
	}
	return o, nil
}

// randomName names a file that no other has been named.
func randomName() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return hex.EncodeToString(random[:])
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open a directory to sync: %w", err)
	}
	if err := errors.Join(directory.Sync(), directory.Close()); err != nil {
		return fmt.Errorf("sync a directory: %w", err)
	}
	return nil
}
