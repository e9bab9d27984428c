package objectstore

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// defaultRegion is what MinIO calls itself, and the region that S3 takes for none.
const defaultRegion = "us-east-1"

// address is a parsed DAYBOOK_S3_URL.
type address struct {
	secure               bool
	host                 string // with its port, if any
	accessKey, secretKey string
	bucket, region       string
}

// parseAddress reads https://KEY:SECRET@host/bucket?region=…. Its errors never
// contain the URL, which holds a secret.
func parseAddress(text string) (address, error) {
	given, err := url.Parse(text)
	if err != nil {
		return address{}, errors.New("DAYBOOK_S3_URL is not a URL: it must look like https://KEY:SECRET@host/bucket?region=us-east-1, " +
			"with special characters in the keys percent-encoded")
	}
	secret, hasSecret := given.User.Password()
	a := address{
		secure: given.Scheme == "https", host: given.Host, accessKey: given.User.Username(), secretKey: secret,
		bucket: strings.Trim(given.Path, "/"), region: given.Query().Get("region"),
	}
	switch {
	case given.Scheme != "https" && given.Scheme != "http":
		return address{}, errors.New("DAYBOOK_S3_URL must begin with https:// or http://")
	case given.Hostname() == "":
		return address{}, errors.New("DAYBOOK_S3_URL names no host")
	case a.accessKey == "" || !hasSecret || secret == "":
		return address{}, errors.New("DAYBOOK_S3_URL must hold an access key and a secret key: https://KEY:SECRET@host/bucket")
	case a.bucket == "" || strings.Contains(a.bucket, "/"):
		return address{}, errors.New("DAYBOOK_S3_URL must name one bucket as its path: https://KEY:SECRET@host/bucket")
	case given.Fragment != "":
		return address{}, errors.New("DAYBOOK_S3_URL must not hold a #: percent-encode it in the keys")
	}
	if a.region == "" {
		a.region = defaultRegion
	}
	return a, refuseUnknown(given.Query())
}

func refuseUnknown(query url.Values) error {
	for name := range query {
		if name != "region" {
			return fmt.Errorf("DAYBOOK_S3_URL has the unknown parameter %q: only region is known", name)
		}
	}
	return nil
}
