package api

import (
	_ "embed" // the description
	"encoding/json"
	"net/http"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var openapiYAML []byte

// Description returns the description of this interface (OpenAPI 3.1) as JSON.
func Description() json.RawMessage {
	var document any
	err := yaml.Unmarshal(openapiYAML, &document)
	if err == nil {
		var encoded []byte
		if encoded, err = json.Marshal(document); err == nil {
			return encoded
		}
	}
	panic("api: openapi.yaml: " + err.Error())
}

func (s *Server) openapi(w http.ResponseWriter, _ *http.Request) error {
	return write(w, http.StatusOK, "application/json", s.description)
}
