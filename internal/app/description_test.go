package app_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"daybook/api"
)

var describedRoutes = sync.OnceValues(func() (routers.Router, error) {
	document, err := openapi3.NewLoader().LoadFromData(api.Description())
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(document)
})

// fits holds every answer of every HTTP test against the description.
func fits(tb testing.TB, request *http.Request, a answer) {
	tb.Helper()
	router, err := describedRoutes()
	if err != nil {
		tb.Fatal(err)
	}
	asked := request.Clone(context.Background())
	asked.URL = &url.URL{Path: request.URL.Path, RawQuery: request.URL.RawQuery}
	route, params, err := router.FindRoute(asked)
	if err != nil {
		asked.URL.Path = strings.TrimSuffix(asked.URL.Path, "/") + "/"
		if route, params, err = router.FindRoute(asked); err != nil {
			return // a page, the mailbox, or nothing of ours
		}
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: route},
		Status:                 a.Status, Header: a.Header, Body: io.NopCloser(bytes.NewReader(a.Body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		tb.Errorf("%s %s answered %d, which the description does not allow: %v", request.Method, route.Path, a.Status, err)
	}
}

func init() {
	for _, contentType := range []string{"image/jpeg", "image/png", "text/html", "application/x-ndjson", "text/event-stream"} {
		openapi3filter.RegisterBodyDecoder(contentType, openapi3filter.FileBodyDecoder)
	}
}
