package domain

import "errors"

// Kind is the small closed set of ways in which a command can be refused. The
// HTTP layer translates kinds to status codes in one place. New kinds are only
// ever added at the end.
type Kind int

const (
	// KindInvalid says that the input breaks a rule; Fields may say which.
	KindInvalid Kind = iota + 1
	// KindUnauthenticated says that nobody, or nobody valid, is signed in.
	KindUnauthenticated
	// KindForbidden says that the caller is known but may not do this.
	KindForbidden
	// KindNotFound says that the thing asked for does not exist for the caller.
	KindNotFound
	// KindConflict says that the command contradicts what has happened already.
	KindConflict
	// KindPreconditionFailed says that the caller decided on an older version.
	KindPreconditionFailed
	// KindUnavailable says that a part is too busy or out of reach; trying
	// again later is right.
	KindUnavailable
	// KindTooMany says that the caller asks more often than allowed.
	KindTooMany
)

// Error is the one error type of the domain. Message is a sentence for the
// user, Code is stable and for programs, Fields maps an input field to its
// sentence.
type Error struct {
	Kind    Kind
	Code    string
	Message string
	Fields  map[string]string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Refuse returns an *Error without fields.
func Refuse(kind Kind, code, message string) error {
	return &Error{Kind: kind, Code: code, Message: message}
}

// IsKind reports whether err is, or wraps, an *Error of the kind.
func IsKind(err error, kind Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == kind
}

// Invalid returns a KindInvalid *Error for one field.
func Invalid(field, sentence string) error {
	return &Error{Kind: KindInvalid, Code: "invalid_" + field, Message: sentence, Fields: map[string]string{field: sentence}}
}

// JoinInvalid merges refusals of several fields into one *Error that carries
// all of their sentences; the first one's message speaks for all. Nil errors
// are skipped; an error of another type is returned as it is.
func JoinInvalid(errs ...error) error {
	var joined *Error
	for _, err := range errs {
		if err == nil {
			continue
		}
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return err
		}
		if joined == nil {
			joined = &Error{Kind: e.Kind, Code: e.Code, Message: e.Message, Fields: map[string]string{}}
		}
		for field, sentence := range e.Fields {
			joined.Fields[field] = sentence
		}
	}
	if joined == nil {
		return nil
	}
	return joined
}
