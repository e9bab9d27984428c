package app_test

import (
	"net/http"
	"testing"

	"daybook/api"
	"daybook/internal/testkit"
)

var description = testkit.NewDescription(api.Description)

// fits holds every answer of every HTTP test against the description.
func fits(tb testing.TB, request *http.Request, a answer) {
	tb.Helper()
	description.Check(tb, request, a.Status, a.Header, a.Body)
}
