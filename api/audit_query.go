package api

import (
	"net/http"
	"net/url"

	"daybook/domain"
	"daybook/internal/audit"
)

// auditQuery reads the parameters. Unknown and repeated ones are refused: a
// misspelt filter would silently deliver everything.
func auditQuery(r *http.Request, cursors audit.Cursors) (q audit.Query, err error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, domain.Refuse(domain.KindInvalid, "invalid_query", "The query of the address is malformed")
	}
	var errs []error
	for name, given := range values {
		read, known := auditParameters[name]
		if !known || len(given) > 1 {
			return q, domain.Refuse(domain.KindInvalid, "invalid_query", "The parameters are after, account, type, since, until, limit and follow, each at most once")
		}
		errs = append(errs, read(&q, given[0], cursors))
	}
	// A client of an event stream connects again with the address it had at
	// first, and says here how far it has come.
	if last := r.Header.Get("Last-Event-ID"); last != "" && q.Follow {
		q.After, err = cursors.Position(last)
		errs = append(errs, err)
	}
	return q, domain.JoinInvalid(append(errs, q.Validate())...)
}

type readParameter func(q *audit.Query, value string, cursors audit.Cursors) error

var auditParameters = map[string]readParameter{
	"after": func(q *audit.Query, value string, cursors audit.Cursors) (err error) {
		q.After, err = cursors.Position(value)
		return err
	},
	"account": func(q *audit.Query, value string, _ audit.Cursors) (err error) {
		q.Account, err = audit.ParseAccount(value)
		return err
	},
	"type": func(q *audit.Query, value string, _ audit.Cursors) error {
		q.Types = audit.ParseTypes(value)
		return nil
	},
	"since": func(q *audit.Query, value string, _ audit.Cursors) (err error) {
		q.Since, err = audit.ParseTime("since", value)
		return err
	},
	"until": func(q *audit.Query, value string, _ audit.Cursors) (err error) {
		q.Until, err = audit.ParseTime("until", value)
		return err
	},
	"limit": func(q *audit.Query, value string, _ audit.Cursors) (err error) {
		q.Limit, err = audit.ParseLimit(value)
		return err
	},
	"follow": func(q *audit.Query, value string, _ audit.Cursors) error {
		if value != "true" && value != "false" {
			return domain.Invalid("follow", "follow must be true or false")
		}
		q.Follow = value == "true"
		return nil
	},
}
