package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// fixedNamespace is where the subjects that stand for secrets of the deployment get
// their ids: UUIDs of version 5, which no account has.
var fixedNamespace = uuid.MustParse("5f1c2f0e-6f5b-5a55-9d3a-3f0f6a2f7c11")

// Fixed returns the deployment's secret of that name: first when there is none yet, and
// the same from then on, whatever keys come and go. It is kept as a data key is, so that
// the master keys wrap it and Rewrap wraps it anew. It is read before it is made: who
// may only read can use it once it is there.
func (v *Vault) Fixed(ctx context.Context, name string, first []byte) ([]byte, error) {
	subject := uuid.NewSHA1(fixedNamespace, []byte(name))
	secret, err := v.Secret(ctx, subject)
	if !errors.Is(err, ErrKeyLost) {
		return secret, err
	}
	key, err := v.createOrGet(ctx, subject, first)
	if err != nil {
		return nil, fmt.Errorf("make the secret %q: %w", name, err)
	}
	return key.secret, nil
}
