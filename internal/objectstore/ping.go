package objectstore

import (
	"context"
	"fmt"
)

// Ping returns nil if the server answers and has the bucket.
func (s *Store) Ping(ctx context.Context) error {
	exists, err := s.client.BucketExists(ctx, s.bucket)
	if err != nil {
		return fmt.Errorf("look for bucket %s: %w", s.bucket, err)
	}
	if !exists {
		return fmt.Errorf("there is no bucket %s", s.bucket)
	}
	return nil
}
