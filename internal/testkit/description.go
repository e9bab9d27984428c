package testkit

import (
	"bytes"
	"context"
	"encoding/json"
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
)

// Description is an OpenAPI description that answers are held against. Make it with
// NewDescription.
type Description struct {
	router func() (routers.Router, error)
}

// NewDescription takes what returns the description's JSON, which is read when the first
// answer is held against it.
func NewDescription(document func() json.RawMessage) Description {
	return Description{sync.OnceValues(func() (routers.Router, error) {
		parsed, err := openapi3.NewLoader().LoadFromData(document())
		if err != nil {
			return nil, err
		}
		return gorillamux.NewRouter(parsed)
	})}
}

// Check fails the test when the description does not allow the answer. What it does not
// describe, a page or a path that is not there, fits.
func (d Description) Check(tb testing.TB, request *http.Request, status int, header http.Header, body []byte) {
	tb.Helper()
	router, err := d.router()
	if err != nil {
		tb.Error(err) // not Fatal: answers also come to other goroutines
		return
	}
	asked := request.Clone(context.Background())
	asked.URL = &url.URL{Path: request.URL.Path, RawQuery: request.URL.RawQuery}
	route, params, err := router.FindRoute(asked)
	if err != nil {
		asked.URL.Path = strings.TrimSuffix(asked.URL.Path, "/") + "/"
		if route, params, err = router.FindRoute(asked); err != nil {
			return
		}
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: route},
		Status:                 status, Header: header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		tb.Errorf("%s %s answered %d, which the description does not allow: %v", request.Method, route.Path, status, err)
	}
}

func init() {
	for _, contentType := range []string{"image/jpeg", "image/png", "text/html", "application/x-ndjson", "text/event-stream"} {
		openapi3filter.RegisterBodyDecoder(contentType, openapi3filter.FileBodyDecoder)
	}
}
