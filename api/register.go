package api

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"daybook/commands"
	"daybook/domain"
)

const (
	registered = "Your account was created successfully. Check your email address to activate your account as we just " +
		"sent you an activation link. Ensure you activate your account before the link expires"
	registerRequired = "All fields are required: email, first_name, last_name, password"
)

// The floors under the anonymous answers of the hardened contract: time enough
// for the slower of the two ways, so that the faster one does not show. What work
// leaves behind (caches, the scheduler) still moves an answer by some hundredths of a
// millisecond; the random part of the floor is a hundred times that.
const (
	floor      = 150 * time.Millisecond
	floorHash  = 300 * time.Millisecond // with a password hash on the way
	floorDrift = 10 * time.Millisecond
)

func (s *Server) register(w http.ResponseWriter, r *http.Request) error {
	names := []string{"email", "first_name", "last_name", "password"}
	in, err := readObject(w, r, names...)
	if err != nil {
		return err
	}
	if missing := in.missing(names...); len(missing) > 0 {
		return required(registerRequired, missing)
	}
	caller, err := s.anonymous(r, addressSubject(in.text("email")), in)
	if err != nil {
		return err
	}
	err = s.conceal(r, floorHash, domain.ErrAddressTaken, func(ctx context.Context) error {
		return s.Commands.Register(ctx, caller, commands.Register{
			Email: in.text("email"), FirstName: in.text("first_name"),
			LastName: in.text("last_name"), Password: in.text("password"),
		})
	})
	if err != nil {
		return err
	}
	return sayCreated(w, registered)
}

// conceal runs a command of an anonymous caller. In the hardened contract what
// telling would tell who exists, and the answer comes no sooner than least
// after the request, whatever was done.
func (s *Server) conceal(r *http.Request, least time.Duration, telling error, run func(context.Context) error) error {
	if s.Config.Contract == ContractSeed {
		return run(r.Context())
	}
	err := run(r.Context())
	holdUntil(r, least)
	if errors.Is(err, telling) {
		return nil
	}
	return err
}

// even gives refusals of sign-ins and of mailed links one time, so that it does not
// tell what they were refused for: in the hardened contract they come no sooner than
// the floor after the request. What is not refused is not held.
func (s *Server) even(r *http.Request, err error) error {
	if s.Config.Contract != ContractSeed && domain.IsKind(err, domain.KindInvalid) {
		holdUntil(r, floor)
	}
	return err
}

// holdUntil waits until so long after the request and a random drift more, or until
// nobody waits for the answer.
func holdUntil(r *http.Request, least time.Duration) {
	held := time.NewTimer(least + rand.N(floorDrift) - time.Since(exchangeOf(r).arrived))
	defer held.Stop()
	select {
	case <-held.C:
	case <-r.Context().Done():
	}
}
