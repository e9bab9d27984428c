package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/domain"
)

// Erase destroys the person's key and credentials behind the fence, which stays. The
// farewell, sealed with the current master key, is kept with the first time only.
// Other processes may use a cached key for a minute more.
func (v *Vault) Erase(ctx context.Context, subject uuid.UUID, farewell domain.Farewell) error {
	var keyID *string
	var box []byte
	if farewell.Email != "" {
		master := v.masters.Set().Current()
		sealed, err := sealFarewell(master, subject, farewell)
		if err != nil {
			return err
		}
		keyID, box = &master.ID, sealed
	}
	_, err := v.pool.Exec(ctx, `SELECT vault.erase($1, $2, $3, $4)`, subject, keyID, box, farewell.Until)
	v.cache.drop(subject)
	if err != nil {
		return fmt.Errorf("erase %s: %w", subject, err)
	}
	return nil
}

// ErrNotErased says that the person is not, or not yet, erased.
var ErrNotErased = errors.New("not erased")

// Farewell returns where to tell an erased person of it. found is false once that was
// done, its time is over, or when there never was anything to tell.
func (v *Vault) Farewell(ctx context.Context, subject uuid.UUID) (farewell domain.Farewell, found bool, err error) {
	var erased bool
	var keyID *string
	var box []byte
	err = v.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM vault.erased_subjects WHERE subject = $1), f.master_key_id, f.box
		FROM (VALUES (1)) one LEFT JOIN vault.farewells f ON f.subject = $1 AND f.expires_at > now()`, subject).Scan(&erased, &keyID, &box)
	switch {
	case err != nil:
		return domain.Farewell{}, false, fmt.Errorf("look for a farewell: %w", err)
	case !erased:
		return domain.Farewell{}, false, ErrNotErased
	case keyID == nil:
		return domain.Farewell{}, false, nil
	}
	master, known := v.masters.Set().Find(*keyID)
	if !known {
		return domain.Farewell{}, false, fmt.Errorf("a farewell is sealed by master key %q, which DAYBOOK_MASTER_KEYS does not have", *keyID)
	}
	farewell, err = openFarewell(master, subject, box)
	return farewell, err == nil, err
}

// Fenced reports whether the person was erased in this vault.
func (v *Vault) Fenced(ctx context.Context, subject uuid.UUID) (fenced bool, err error) {
	err = v.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM vault.erased_subjects WHERE subject = $1)`, subject).Scan(&fenced)
	return fenced, err
}

// Told forgets the farewell: the person was told.
func (v *Vault) Told(ctx context.Context, subject uuid.UUID) error {
	_, err := v.pool.Exec(ctx, `DELETE FROM vault.farewells WHERE subject = $1`, subject)
	return err
}

// PurgeFarewells deletes those whose time is over and returns how many.
func (v *Vault) PurgeFarewells(ctx context.Context) (int64, error) {
	tag, err := v.pool.Exec(ctx, `DELETE FROM vault.farewells WHERE expires_at <= now()`)
	return tag.RowsAffected(), err
}

// Reerase destroys again what lies behind a fence, as after an older copy of a table
// was brought back, and returns of how many people that was.
func (v *Vault) Reerase(ctx context.Context) (int64, error) {
	var n int64
	err := v.pool.QueryRow(ctx, `SELECT count(*) `+behindFences).Scan(&n)
	if err != nil || n == 0 {
		return 0, err // not everybody who may look may destroy
	}
	err = v.pool.QueryRow(ctx, `SELECT count(vault.erase(subject, NULL, NULL, now())) `+behindFences).Scan(&n)
	return n, err
}

// behindFences are the people of whom something is left behind their fence.
const behindFences = `FROM vault.erased_subjects e
	WHERE EXISTS (SELECT FROM vault.data_keys k WHERE k.subject = e.subject)
		OR EXISTS (SELECT FROM vault.credentials c WHERE c.account_id = e.subject)`

// ErasuresSeen returns the position in the event store up to which erasures were
// carried out in this vault; 0 when it knows of none, of another store only, or has
// fewer fences than then: they were restored from an older copy.
func (v *Vault) ErasuresSeen(ctx context.Context, store uuid.UUID) (uint64, error) {
	var position int64
	err := v.pool.QueryRow(ctx, `SELECT position FROM vault.erasures_seen
		WHERE store_id = $1 AND fences <= (SELECT count(*) FROM vault.erased_subjects)`, store).Scan(&position)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return uint64(position), err
}

// SawErasures notes that all erasures up to the position are carried out.
func (v *Vault) SawErasures(ctx context.Context, store uuid.UUID, position uint64) error {
	_, err := v.pool.Exec(ctx, `INSERT INTO vault.erasures_seen AS s (store_id, position, fences)
		SELECT $1, $2, count(*) FROM vault.erased_subjects
		ON CONFLICT (singleton) DO UPDATE SET store_id = $1, position = $2, fences = excluded.fences
		WHERE s.store_id <> $1 OR s.position < $2 OR s.fences > excluded.fences`, store, int64(position))
	return err
}

func farewellPlace(subject uuid.UUID) []byte { return lengthPrefixed("farewell", subject.String()) }

func sealFarewell(master Key, subject uuid.UUID, farewell domain.Farewell) ([]byte, error) {
	aead, err := newAEAD(master.Secret)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(farewell)
	if err != nil {
		return nil, err
	}
	return seal(aead, plain, farewellPlace(subject)), nil
}

func openFarewell(master Key, subject uuid.UUID, box []byte) (farewell domain.Farewell, err error) {
	aead, err := newAEAD(master.Secret)
	if err != nil {
		return farewell, err
	}
	plain, err := open(aead, box, farewellPlace(subject))
	if err != nil {
		return farewell, fmt.Errorf("open the farewell of %s: %w", subject, err)
	}
	err = json.Unmarshal(plain, &farewell)
	farewell.Until = farewell.Until.In(time.UTC)
	return farewell, err
}
