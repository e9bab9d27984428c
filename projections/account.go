package projections

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
)

// Account is what queries answer about an account, from the view or from a
// fold: the same either way. Empty texts are "not given".
type Account struct {
	ID          uuid.UUID     `json:"id"`
	Revision    int64         `json:"revision"`
	Version     int64         `json:"version"`
	Status      domain.Status `json:"status"`
	Email       string        `json:"email"`
	FirstName   string        `json:"first_name"`
	LastName    string        `json:"last_name"`
	PhoneNumber string        `json:"phone_number"`
	GithubLink  string        `json:"github_link"`
	BirthDate   string        `json:"birth_date"`
	Thumbnail   string        `json:"thumbnail"` // object key
	Staff       bool          `json:"staff"`
	JoinedAt    time.Time     `json:"joined_at"` // zero when never registered
	// Erased says that the personal fields are gone for ever, not empty.
	Erased bool `json:"erased"`
}

// Active reports whether the person may sign in.
func (a Account) Active() bool { return a.Status == domain.StatusActive }

// DecodeAccount reads a row of readmodel.accounts as JSON.
func DecodeAccount(row json.RawMessage) (Account, error) {
	var a Account
	err := json.Unmarshal(row, &a)
	a.JoinedAt = a.JoinedAt.UTC()
	return a, err
}

// AccountOf answers from a fold: what the view will say once it is there.
func AccountOf(a domain.Account) Account {
	return Account{
		ID: a.ID, Revision: a.Revision, Version: a.Version, Status: a.Status, Email: a.Email,
		FirstName: a.Profile.FirstName, LastName: a.Profile.LastName, PhoneNumber: a.Profile.PhoneNumber,
		GithubLink: a.Profile.GithubLink, BirthDate: a.Profile.BirthDate, Thumbnail: a.Profile.Thumbnail,
		Staff: a.Staff, JoinedAt: a.JoinedAt, Erased: a.Erased,
	}
}
