package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/apitoken"
)

func (p *parts) apiTokens() *apitoken.Store {
	return &apitoken.Store{Pool: p.pool, Append: p.repository.Append, Producer: producer()}
}

type tokenCommand struct {
	Create tokenCreateCommand `cmd:"" help:"Make a token and print it, this once."`
	List   tokenListCommand   `cmd:"" help:"List tokens, never their secrets."`
	Revoke tokenRevokeCommand `cmd:"" help:"End a token at once."`
}

type tokenCreateCommand struct {
	Scope   []string `required:"" help:"What the token may do: audit:read, or audit:read:personal to see personal fields as well."`
	Expires string   `default:"90d" help:"How long it may be used, such as 12h or 90d, or until when, such as 2027-01-31."`
	Name    string   `help:"What to call it in lists."`
}

// Run prints the token alone to standard output, so that a script can take it.
func (c tokenCreateCommand) Run(i *invocation) error {
	scopes, err := apitoken.ParseScopes(c.Scope)
	if err != nil {
		return fmt.Errorf("--scope: %w", err)
	}
	expires, err := parseExpiry(c.Expires, time.Now())
	if err != nil {
		return fmt.Errorf("--expires: %w", err)
	}
	if len(c.Name) > 100 || strings.ContainsFunc(c.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("--name may have at most 100 printable characters")
	}
	return i.withRecords(func(ctx context.Context, o *operator) error {
		text, token, err := o.apiTokens().Create(ctx, domain.SystemActor(consoleActor), c.Name, scopes, expires)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(i.notes, "Token %s, until %s. It is not shown again:\n", token.ID, token.ExpiresAt.Format(time.RFC3339))
		_, err = fmt.Fprintln(i.out, text)
		return err
	})
}

// parseExpiry reads a duration (with d for days of 24 hours), a UTC date or an
// RFC 3339 time, which must lie ahead.
func parseExpiry(text string, now time.Time) (time.Time, error) {
	end, err := time.Parse(time.RFC3339, text)
	if err != nil {
		end, err = time.Parse(time.DateOnly, text)
	}
	if err != nil {
		var span time.Duration
		if days, ok := strings.CutSuffix(text, "d"); ok {
			var n int
			n, err = strconv.Atoi(days)
			span = time.Duration(min(n, 36500)) * 24 * time.Hour
		} else {
			span, err = time.ParseDuration(text)
		}
		end = now.Add(span)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a duration such as 90d nor a date such as 2027-01-31", text)
	}
	if !end.After(now) {
		return time.Time{}, fmt.Errorf("%q has passed", text)
	}
	return end, nil
}

type tokenListCommand struct{}

func (tokenListCommand) Run(i *invocation) error {
	return i.withRecords(func(ctx context.Context, o *operator) error {
		tokens, err := o.apiTokens().List(ctx)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(i.out, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "ID\tSTATE\tSCOPES\tEXPIRES\tLAST USED\tNAME")
		for _, t := range tokens {
			used := "never"
			if !t.LastUsedAt.IsZero() {
				used = t.LastUsedAt.UTC().Format(time.RFC3339)
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.State(time.Now()), joined(t.Scopes), t.ExpiresAt.UTC().Format(time.RFC3339), used, t.Name)
		}
		return table.Flush()
	})
}

func joined(scopes []apitoken.Scope) string {
	names := make([]string, len(scopes))
	for i, scope := range scopes {
		names[i] = string(scope)
	}
	return strings.Join(names, ",")
}

type tokenRevokeCommand struct {
	ID string `arg:"" help:"The id that create and list show."`
}

func (c tokenRevokeCommand) Run(i *invocation) error {
	id, err := uuid.Parse(c.ID)
	if err != nil {
		return fmt.Errorf("%q is not the id of a token; see daybook token list", c.ID)
	}
	return i.withRecords(func(ctx context.Context, o *operator) error {
		if err := o.apiTokens().Revoke(ctx, domain.SystemActor(consoleActor), id); err != nil {
			return err
		}
		_, err := fmt.Fprintf(i.notes, "Token %s is revoked.\n", id)
		return err
	})
}
