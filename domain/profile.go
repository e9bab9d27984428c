package domain

import "time"

// Field names of a profile, as stored in ProfileUpdated.changed and as used in
// requests and answers.
const (
	FieldFirstName   = "first_name"
	FieldLastName    = "last_name"
	FieldPhoneNumber = "phone_number"
	FieldGithubLink  = "github_link"
	FieldBirthDate   = "birth_date"
	FieldThumbnail   = "thumbnail"
)

// UpdateProfile is the command to change some fields of a profile. A nil field
// is left alone; an empty one is cleared. Values are parsed already, see
// ParseName and its neighbours.
type UpdateProfile struct {
	FirstName   *string
	LastName    *string
	PhoneNumber *string
	GithubLink  *string
	BirthDate   *string
	Thumbnail   *string // object key
	// IfVersion, when not nil, is the version the caller decided on.
	IfVersion *int64
}

// ErrVersion refuses a change decided on an older version (HTTP If-Match).
var ErrVersion = Refuse(KindPreconditionFailed, "version_mismatch",
	"The profile has changed in the meantime. Load it again and repeat the change")

// Decide appends one ProfileUpdated with the fields that really change, or
// nothing.
func (c UpdateProfile) Decide(a Account, _ time.Time) ([]Event, error) {
	if !a.Active() {
		return nil, ErrNotSignedIn
	}
	if c.IfVersion != nil && *c.IfVersion != a.Version {
		return nil, ErrVersion
	}
	var e ProfileUpdated
	change := func(field string, wanted *string, current string, into **string) {
		if wanted == nil || *wanted == current {
			return
		}
		e.Changed = append(e.Changed, field)
		if *wanted != "" {
			*into = wanted
		}
	}
	details := &e.Personal.Value
	change(FieldFirstName, c.FirstName, a.Profile.FirstName, &details.FirstName)
	change(FieldLastName, c.LastName, a.Profile.LastName, &details.LastName)
	change(FieldPhoneNumber, c.PhoneNumber, a.Profile.PhoneNumber, &details.PhoneNumber)
	change(FieldGithubLink, c.GithubLink, a.Profile.GithubLink, &details.GithubLink)
	change(FieldBirthDate, c.BirthDate, a.Profile.BirthDate, &details.BirthDate)
	change(FieldThumbnail, c.Thumbnail, a.Profile.Thumbnail, &e.Thumbnail)
	if len(e.Changed) == 0 {
		return nil, nil
	}
	return []Event{e}, nil
}
