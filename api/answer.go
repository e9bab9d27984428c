package api

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"daybook/projections"
)

type message struct {
	Message string `json:"message"`
}

// say answers with a sentence for the user. The frontend puts it raw into a
// query string: ASCII, one line, without '=', '#' and '%'.
func say(w http.ResponseWriter, sentence string) error {
	return answer(w, http.StatusOK, message{sentence})
}

func sayCreated(w http.ResponseWriter, sentence string) error {
	return answer(w, http.StatusCreated, message{sentence})
}

// show answers with a value.
func show(w http.ResponseWriter, value any) error { return answer(w, http.StatusOK, value) }

func answer(w http.ResponseWriter, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return write(w, status, "application/json", body)
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) error {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone needs no answer
	return nil
}

func empty(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// nothing answers HEAD on the links of mails: scanners ask, and nothing is
// looked at or changed.
func (s *Server) nothing(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusOK)
	return nil
}

// redirect sends a person's browser on. The address is ours, never a client's.
func redirect(w http.ResponseWriter, to string) error {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
	return nil
}

// user is the user object of the contract.
type user struct {
	ID         uuid.UUID `json:"id"`
	Email      string    `json:"email"`
	FirstName  string    `json:"first_name"`
	LastName   string    `json:"last_name"`
	IsStaff    bool      `json:"is_staff"`
	IsActive   bool      `json:"is_active"`
	DateJoined string    `json:"date_joined"` // RFC 3339, microseconds
	Thumbnail  *string   `json:"thumbnail"`   // absolute URL
	Profile    profile   `json:"profile"`
	Version    int64     `json:"version"`
}

type profile struct {
	ID          uuid.UUID `json:"id"`
	UserID      uuid.UUID `json:"user_id"`
	PhoneNumber *string   `json:"phone_number"`
	GithubLink  *string   `json:"github_link"`
	BirthDate   *string   `json:"birth_date"`
}

func (s *Server) user(a projections.Account) user {
	u := user{
		ID: a.ID, Email: a.Email, FirstName: a.FirstName, LastName: a.LastName,
		IsStaff: a.Staff, IsActive: a.Active(), Version: a.Version,
		DateJoined: a.JoinedAt.UTC().Format("2006-01-02T15:04:05.000000Z07:00"),
		Profile: profile{
			// The seed has a table of profiles; here the id follows from the account's.
			ID: uuid.NewSHA1(a.ID, []byte("profile")), UserID: a.ID,
			PhoneNumber: given(a.PhoneNumber), GithubLink: given(a.GithubLink), BirthDate: given(a.BirthDate),
		},
	}
	if a.Thumbnail != "" {
		u.Thumbnail = given(s.Config.MediaURL + "/" + a.Thumbnail)
	}
	return u
}

func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// showUser answers a signed-in caller with the user object. ETag is the version
// that If-Match compares; Daybook-Position is how far the account's history had
// come.
func (s *Server) showUser(w http.ResponseWriter, a projections.Account) error {
	w.Header().Set("ETag", entityTag(a.Version))
	w.Header().Set(positionHeader, position(a.Revision))
	return show(w, s.user(a))
}

const positionHeader = "Daybook-Position"

func entityTag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// position is opaque to clients, so that what it stands for may change.
func position(revision int64) string {
	return base64.RawURLEncoding.EncodeToString(binary.AppendVarint([]byte{1}, revision))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
