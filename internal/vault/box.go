package vault

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/domain"
)

// boxVersion is the first byte of every box.
const boxVersion = 1

// Place is where a box belongs. It is authenticated, so that a box moved
// elsewhere does not open.
type Place struct {
	Stream  string
	EventID uuid.UUID
	Type    string
	Schema  int
	Subject uuid.UUID
}

func (p Place) bytes(keyVersion int) []byte {
	return lengthPrefixed(p.Stream, p.EventID.String(), p.Type, fmt.Sprint(p.Schema), p.Subject.String(), fmt.Sprint(keyVersion))
}

// Seal seals personal members for their place, with the subject's key, which is
// made if there is none yet.
func (v *Vault) Seal(ctx context.Context, p Place, personal []byte) ([]byte, error) {
	key, err := v.key(ctx, p.Subject)
	if err != nil {
		return nil, err
	}
	head := binary.BigEndian.AppendUint16([]byte{boxVersion}, uint16(key.version))
	return append(head, seal(key.aead, personal, p.bytes(key.version))...), nil
}

// Keyring opens the boxes of the subjects it was loaded for.
type Keyring struct {
	keys   map[uuid.UUID]dataKey
	erased map[uuid.UUID]bool
}

// Keyring loads the keys of the subjects: one query for all that are not
// cached, none when all are.
func (v *Vault) Keyring(ctx context.Context, subjects ...uuid.UUID) (*Keyring, error) {
	ring := &Keyring{keys: map[uuid.UUID]dataKey{}, erased: map[uuid.UUID]bool{}}
	missing := v.cache.fill(ring.keys, subjects)
	if len(missing) == 0 {
		return ring, nil
	}
	rows, err := v.pool.Query(ctx, `
		SELECT subject, version, master_key_id, wrapped FROM vault.data_keys k WHERE subject = ANY($1)
			AND NOT EXISTS (SELECT FROM vault.erased_subjects e WHERE e.subject = k.subject)
		UNION ALL SELECT subject, 0, '', ''::bytea FROM vault.erased_subjects WHERE subject = ANY($1)`, missing)
	if err != nil {
		return nil, fmt.Errorf("load data keys: %w", err)
	}
	wrapped, err := pgx.CollectRows(rows, pgx.RowToStructByPos[wrappedKey])
	if err != nil {
		return nil, fmt.Errorf("load data keys: %w", err)
	}
	for _, row := range wrapped {
		if err := ring.add(v, row); err != nil {
			return nil, err
		}
	}
	return ring, nil
}

func (r *Keyring) add(v *Vault, row wrappedKey) (err error) {
	if row.Version == 0 {
		r.erased[row.Subject] = true
		return nil
	}
	r.keys[row.Subject], err = v.unwrap(row)
	return err
}

// Open opens a box. domain.ErrErased and ErrKeyLost are told apart.
func (r *Keyring) Open(p Place, box []byte) ([]byte, error) {
	if r.erased[p.Subject] {
		return nil, domain.ErrErased
	}
	key, ok := r.keys[p.Subject]
	if !ok {
		return nil, fmt.Errorf("%w: subject %s", ErrKeyLost, p.Subject)
	}
	const head = 3
	if len(box) < head || box[0] != boxVersion {
		return nil, errors.New("not a sealed box")
	}
	version := int(binary.BigEndian.Uint16(box[1:head]))
	if version != key.version {
		return nil, fmt.Errorf("%w: version %d of subject %s", ErrKeyLost, version, p.Subject)
	}
	return open(key.aead, box[head:], p.bytes(version))
}

// Secret returns the subject's raw data key, for derivations that must die with
// it; a subject without a key gets none.
func (v *Vault) Secret(ctx context.Context, subject uuid.UUID) ([]byte, error) {
	ring, err := v.Keyring(ctx, subject)
	if err != nil {
		return nil, err
	}
	if ring.erased[subject] {
		return nil, domain.ErrErased
	}
	key, ok := ring.keys[subject]
	if !ok {
		return nil, fmt.Errorf("%w: subject %s", ErrKeyLost, subject)
	}
	return key.secret, nil
}

// seal puts a random 96-bit nonce before the ciphertext.
func seal(aead cipher.AEAD, plain, additional []byte) []byte {
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	return aead.Seal(nonce, nonce, plain, additional)
}

func open(aead cipher.AEAD, sealed, additional []byte) ([]byte, error) {
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("the box is cut short")
	}
	return aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], additional)
}

// lengthPrefixed joins values so that no two lists give the same bytes.
func lengthPrefixed(values ...string) []byte {
	var joined []byte
	for _, value := range values {
		joined = binary.BigEndian.AppendUint32(joined, uint32(len(value)))
		joined = append(joined, value...)
	}
	return joined
}
