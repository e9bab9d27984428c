package commands

import (
	"context"

	"github.com/google/uuid"

	"daybook/domain"
)

// Thumbnail is a picture that was checked and encoded anew.
type Thumbnail struct {
	ContentType string
	Body        []byte
}

// UpdateProfile is the command to change fields of a profile, as typed. A nil
// field is left alone, an empty one is cleared where the field may be empty.
type UpdateProfile struct {
	FirstName   *string
	LastName    *string
	PhoneNumber *string
	GithubLink  *string
	BirthDate   *string
	Thumbnail   *Thumbnail
	// RemoveThumbnail clears the picture.
	RemoveThumbnail bool
	IfVersion       *int64
}

// UpdateProfile changes all of the fields or none. A picture is stored before
// the event that names it.
func (h *Handler) UpdateProfile(ctx context.Context, c Caller, id uuid.UUID, in UpdateProfile) (Result, error) {
	command, err := h.checkProfile(in)
	if err != nil {
		return Result{}, err
	}
	switch {
	case in.Thumbnail != nil:
		key := h.thumbnailKey(c)
		if err := h.Objects.Put(ctx, key, in.Thumbnail.ContentType, in.Thumbnail.Body); err != nil {
			return Result{}, err
		}
		command.Thumbnail = &key
	case in.RemoveThumbnail:
		command.Thumbnail = new("")
	}
	account, err := h.execute(ctx, c, id, step{name: "UpdateProfile", command: command})
	return Result{account}, err
}

func (h *Handler) checkProfile(in UpdateProfile) (domain.UpdateProfile, error) {
	var command domain.UpdateProfile
	var errs []error
	parse := func(typed *string, into **string, check func(string) (string, error)) {
		if typed == nil {
			return
		}
		value, err := check(*typed)
		*into = &value
		errs = append(errs, err)
	}
	parse(in.FirstName, &command.FirstName, func(s string) (string, error) { return domain.ParseName(domain.FieldFirstName, s) })
	parse(in.LastName, &command.LastName, func(s string) (string, error) { return domain.ParseName(domain.FieldLastName, s) })
	parse(in.PhoneNumber, &command.PhoneNumber, clearable(domain.ParsePhoneNumber))
	parse(in.GithubLink, &command.GithubLink, clearable(domain.ParseGithubLink))
	parse(in.BirthDate, &command.BirthDate, clearable(func(s string) (string, error) { return domain.ParseBirthDate(s, h.Now()) }))
	command.IfVersion = in.IfVersion
	return command, domain.JoinInvalid(errs...)
}

func clearable(check func(string) (string, error)) func(string) (string, error) {
	return func(s string) (string, error) {
		if s == "" {
			return "", nil
		}
		return check(s)
	}
}
