package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/session"
	"daybook/internal/thumbnail"
	"daybook/projections"
)

// textFields are the fields of a profile that are texts.
var textFields = []string{
	domain.FieldFirstName, domain.FieldLastName, domain.FieldPhoneNumber, domain.FieldGithubLink, domain.FieldBirthDate,
}

var errIfMatch = domain.Refuse(domain.KindInvalid, "invalid_if_match", "If-Match must name one version, as the ETag of the user object does")

var errPicturesBusy = domain.Refuse(domain.KindUnavailable, "busy", "Too many pictures are being worked on. Try again in a moment")

// updateUser is the seed's form: absent and empty both mean "leave it".
func (s *Server) updateUser(w http.ResponseWriter, r *http.Request, in session.Checked) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	change := profileOf(form.text)
	if form.thumbnail != nil {
		if err := s.limitUpload(r.Context(), w, in.Session.AccountID); err != nil {
			return err
		}
		if change.Thumbnail, err = s.thumbnail(r.Context(), form.thumbnail); err != nil {
			return err
		}
	}
	return s.changeProfile(w, r, in.Session, change, []any{form.text, sha256.Sum256(form.thumbnail)})
}

func (s *Server) thumbnail(ctx context.Context, upload []byte) (*commands.Thumbnail, error) {
	picture, err := s.Thumbnails.Process(ctx, upload)
	if refused, ok := errors.AsType[*thumbnail.RefusedError](err); ok {
		return nil, &domain.Error{
			Kind: domain.KindInvalid, Code: refused.Code, Message: refused.Sentence,
			Fields: map[string]string{domain.FieldThumbnail: refused.Sentence},
		}
	}
	if errors.Is(err, thumbnail.ErrBusy) {
		return nil, errPicturesBusy
	}
	return &commands.Thumbnail{ContentType: picture.ContentType, Body: picture.Content}, err
}

// patchUser is a JSON merge patch (RFC 7396): null or an empty text clears.
func (s *Server) patchUser(w http.ResponseWriter, r *http.Request, in session.Checked) error {
	if err := checkMedia(r, "application/merge-patch+json", "application/json"); err != nil {
		return err
	}
	patch, err := readMembers(w, r, append([]string{domain.FieldThumbnail}, textFields...))
	if err != nil {
		return err
	}
	change := profileOf(patch)
	if picture, ok := patch[domain.FieldThumbnail]; ok {
		if picture != nil {
			return domain.Invalid(domain.FieldThumbnail, "A picture can only be removed here; upload a new one as a form.")
		}
		change.RemoveThumbnail = true
	}
	return s.changeProfile(w, r, in.Session, change, patch)
}

func (s *Server) removeThumbnail(w http.ResponseWriter, r *http.Request, in session.Checked) error {
	return s.changeProfile(w, r, in.Session, commands.UpdateProfile{RemoveThumbnail: true}, nil)
}

// profileOf takes the texts that are there; null is an empty text.
func profileOf(text object) commands.UpdateProfile {
	field := func(name string) *string {
		value, ok := text[name]
		if ok && value == nil {
			return new("")
		}
		return value
	}
	return commands.UpdateProfile{
		FirstName: field(domain.FieldFirstName), LastName: field(domain.FieldLastName),
		PhoneNumber: field(domain.FieldPhoneNumber), GithubLink: field(domain.FieldGithubLink),
		BirthDate: field(domain.FieldBirthDate),
	}
}

// changeProfile runs the command and answers from what it folded: no view is
// asked.
func (s *Server) changeProfile(w http.ResponseWriter, r *http.Request, in session.Session, change commands.UpdateProfile, body any) error {
	var err error
	if change.IfVersion, err = ifMatch(r); err != nil {
		return err
	}
	caller, err := s.signedInCaller(r, in, body)
	if err != nil {
		return err
	}
	result, err := s.Commands.UpdateProfile(r.Context(), caller, in.AccountID, change)
	if err != nil {
		return err
	}
	s.saw(r, in, result.Account)
	return s.showUser(w, projections.AccountOf(result.Account))
}

// ifMatch reads the version that the caller decided on; nil when any will do.
// A tag that is none of ours, or a weak one, matches nothing (RFC 9110, 13.1.1).
func ifMatch(r *http.Request) (*int64, error) {
	values := r.Header.Values("If-Match")
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == "*":
		return nil, nil
	case len(values) > 1 || strings.Contains(values[0], ","):
		return nil, errIfMatch
	}
	tag, quoted := strings.CutPrefix(values[0], `"`)
	tag, closed := strings.CutSuffix(tag, `"`)
	version, err := strconv.ParseInt(tag, 10, 64)
	if !quoted || !closed || err != nil || entityTag(version) != values[0] {
		return nil, domain.ErrVersion
	}
	return &version, nil
}
