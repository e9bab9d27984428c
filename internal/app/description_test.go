package app_test

import (
	"net/http"
	"sync"
	"testing"

	"daybook/api"
	"daybook/internal/testkit"
)

var description = sync.OnceValues(func() (*testkit.Description, error) { return testkit.ReadDescription(api.Description()) })

// fits holds every answer of every HTTP test against the description.
func fits(tb testing.TB, request *http.Request, a answer) {
	tb.Helper()
	described, err := description()
	if err != nil {
		tb.Fatal(err)
	}
	if err := described.Fits(request, a.Status, a.Header, a.Body); err != nil {
		tb.Error(err)
	}
}
