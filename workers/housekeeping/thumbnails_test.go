package housekeeping_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/objectstore"
	"daybook/projections"
	"daybook/workers/housekeeping"
)

const accountsCheckpoint = "projection:accounts"

func (w *world) thumbnails(s commands.Store) housekeeping.Thumbnails {
	return housekeeping.Thumbnails{Objects: w.objects, Pool: w.pool, Client: w.repo.Client, Store: s,
		Checkpoint: accountsCheckpoint, Age: now, Patience: now}
}

// picture gives the account a picture and returns its key.
func (w *world) picture(account uuid.UUID) string {
	w.t.Helper()
	result, err := w.UpdateProfile(w.t.Context(), caller(), account, commands.UpdateProfile{
		Thumbnail: &commands.Thumbnail{ContentType: "image/png", Body: []byte("picture")}})
	must(w.t, err)
	return result.Account.Profile.Thumbnail
}

// orphan is a picture whose command died.
func (w *world) orphan() string {
	w.t.Helper()
	key := "thumbnails/" + uuid.NewString()
	must(w.t, w.objects.Put(w.t.Context(), key, "image/png", []byte("picture")))
	return key
}

func (w *world) stored(key string) bool {
	w.t.Helper()
	_, _, err := w.objects.Get(w.t.Context(), key)
	if errors.Is(err, objectstore.ErrNotFound) {
		return false
	}
	must(w.t, err)
	return true
}

func TestCheckpointOfTheView(t *testing.T) {
	if name := (&projections.Projector{View: projections.Accounts{}}).CheckpointName(); name != accountsCheckpoint {
		t.Error(name)
	}
}

// TestPicturesThatNobodyNamesAreRemoved as soon as the view knows, and not before.
func TestPicturesThatNobodyNamesAreRemoved(t *testing.T) {
	w := newWorld(t).withObjects()
	account := w.active(ada)
	superseded := w.picture(account.ID)
	w.project()
	named, orphan := w.picture(account.ID), w.orphan()
	must(t, w.objects.Put(t.Context(), "others/x", "text/plain", []byte("x")))
	if done, err := w.thumbnails(w.repo).Task(time.Hour).Run(t.Context()); done != 0 || err == nil {
		t.Fatalf("while the view is behind: %d, %v", done, err)
	}
	w.project()
	w.append("daybook-store", domain.AnyRevision, domain.KeyRotated{}) // the tail is no account's
	young := w.thumbnails(w.repo)
	young.Age = 0 // a day
	w.run(young.Task(time.Hour), 0)
	w.run(w.thumbnails(w.repo).Task(time.Hour), 2)
	w.run(w.thumbnails(w.repo).Task(time.Hour), 0)
	if w.stored(superseded) || w.stored(orphan) || !w.stored(named) || !w.stored("others/x") {
		t.Error("the wrong ones were removed")
	}
}

// TestTheFoldHasTheLastWord where the view is wrong or says nothing.
func TestTheFoldHasTheLastWord(t *testing.T) {
	w := newWorld(t).withObjects()
	account, parked := w.active(ada), w.active(bob)
	first := w.picture(account.ID)
	w.project()
	second := w.picture(parked.ID)
	w.exec(`INSERT INTO app.parked_accounts (projection, account_id, position, read_after, stream, revision, last_seen, reason)
		SELECT $1, $2, 1, 0, '', 0, 1, 'test'`, accountsCheckpoint, parked.ID)
	w.exec(`UPDATE app.checkpoints SET position = $1`, w.tail()) // passed over
	w.exec(`UPDATE readmodel.accounts SET thumbnail = ''`)
	done, err := w.thumbnails(w.repo).Task(time.Hour).Run(t.Context())
	if done != 0 || err == nil || !w.stored(first) || !w.stored(second) {
		t.Errorf("removed %d, %v; a view that is wrong must be told of", done, err)
	}
}

func (w *world) tail() int64 {
	w.t.Helper()
	tail, err := w.repo.Client.Tail(w.t.Context())
	must(w.t, err)
	return int64(tail)
}

// TestNeverRemovesANamedPicture over random histories, with the view anywhere.
func TestNeverRemovesANamedPicture(t *testing.T) {
	w := newWorld(t).withObjects()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var accounts []uuid.UUID
	for i := range 4 {
		accounts = append(accounts, w.active(fmt.Sprintf("p%d@example.com", i)).ID)
	}
	removed := 0
	for range 80 {
		id := accounts[random.IntN(len(accounts))]
		switch random.IntN(6) {
		case 0, 1:
			w.picture(id)
		case 2:
			_, err := w.UpdateProfile(t.Context(), caller(), id, commands.UpdateProfile{RemoveThumbnail: true})
			must(t, err)
		case 3:
			w.orphan()
		case 4:
			w.project()
		case 5:
			done, _ := w.thumbnails(w.repo).Task(time.Hour).Run(t.Context()) // fails while the view is behind
			removed += done
		}
		for _, id := range accounts {
			if key := w.account(id).Profile.Thumbnail; key != "" && !w.stored(key) {
				t.Fatalf("a named picture was removed")
			}
		}
	}
	w.project()
	done, err := w.thumbnails(w.repo).Task(time.Hour).Run(t.Context())
	must(t, err)
	left := 0
	for _, err := range w.objects.List(t.Context(), "thumbnails/") {
		must(t, err)
		left++
	}
	if removed+done == 0 || left > len(accounts) {
		t.Errorf("%d removed, %d left", removed+done, left)
	}
}

func TestSweepingPicturesIsKilled(t *testing.T) {
	w := newWorld(t).withObjects()
	account := w.active(ada)
	var named string
	var over []string
	w.killed(func(s commands.Store, _ *commands.Handler) housekeeping.Task { return w.thumbnails(s).Task(time.Hour) }, func() {
		over = append(over[:0], w.picture(account.ID), w.picture(account.ID), w.picture(account.ID))
		named = w.picture(account.ID)
		w.project()
	}, func() {
		for _, key := range over {
			if w.stored(key) {
				t.Fatal("a superseded picture is left")
			}
		}
		if !w.stored(named) {
			t.Fatal("the named picture is gone")
		}
	})
}
