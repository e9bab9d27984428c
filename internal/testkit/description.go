package testkit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Description is an OpenAPI description that answers are held against.
type Description struct{ router routers.Router }

// ReadDescription reads a description's JSON.
func ReadDescription(document []byte) (*Description, error) {
	parsed, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, err
	}
	router, err := gorillamux.NewRouter(parsed)
	if err != nil {
		return nil, err
	}
	return &Description{router}, nil
}

// Fits tells why the description does not allow the answer. What it does not describe, a
// page or a path that is not there, fits.
func (d *Description) Fits(request *http.Request, status int, header http.Header, body []byte) error {
	asked := request.Clone(context.Background())
	asked.URL = &url.URL{Path: request.URL.Path, RawQuery: request.URL.RawQuery}
	route, params, err := d.router.FindRoute(asked)
	if err != nil {
		asked.URL.Path = strings.TrimSuffix(asked.URL.Path, "/") + "/"
		if route, params, err = d.router.FindRoute(asked); err != nil {
			return nil //nolint:nilerr // not described
		}
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: route},
		Status:                 status, Header: header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		return fmt.Errorf("%s %s answered %d, which the description does not allow: %w", request.Method, route.Path, status, err)
	}
	return nil
}

func init() {
	for _, contentType := range []string{"image/jpeg", "image/png", "text/html", "application/x-ndjson", "text/event-stream"} {
		openapi3filter.RegisterBodyDecoder(contentType, openapi3filter.FileBodyDecoder)
	}
}
