package email

import (
	"cmp"
	"errors"
	"net/url"
	"strconv"
)

// relay is a parsed DAYBOOK_SMTP_URL.
type relay struct {
	host     string
	port     int
	security security
	user     string // empty: no authentication
	password string
}

// security says how the conversation with the relay is protected.
type security string

const (
	// startTLS is demanded, never optional (RFC 3207).
	startTLS security = "starttls"
	// implicitTLS is TLS from the first byte (RFC 8314).
	implicitTLS security = "implicit"
	// noTLS is for a relay on the same machine or in the same cluster.
	noTLS security = "none"
)

// defaultPorts are those of RFC 6409, RFC 8314 and RFC 5321.
var defaultPorts = map[security]int{startTLS: 587, implicitTLS: 465, noTLS: 25}

const relayForm = "DAYBOOK_SMTP_URL must have the form smtp://user:password@host:587?tls=starttls"

func parseRelay(setting string) (relay, error) {
	parsed, err := url.Parse(setting)
	if err != nil || parsed.Scheme != "smtp" || parsed.Hostname() == "" || parsed.Fragment != "" ||
		parsed.Path != "" && parsed.Path != "/" {
		return relay{}, errors.New(relayForm)
	}
	r := relay{host: parsed.Hostname(), user: parsed.User.Username()}
	r.password, _ = parsed.User.Password()
	if r.security, err = parseSecurity(parsed.RawQuery); err != nil {
		return relay{}, err
	}
	r.port = defaultPorts[r.security]
	if port := parsed.Port(); port != "" {
		if r.port, err = strconv.Atoi(port); err != nil || r.port < 1 || r.port > 65535 {
			return relay{}, errors.New("DAYBOOK_SMTP_URL has a port that is not between 1 and 65535")
		}
	}
	if r.user != "" && r.security == noTLS {
		return relay{}, errors.New("DAYBOOK_SMTP_URL has a password, which is not sent with tls=none: use starttls or implicit")
	}
	if (r.user == "") != (r.password == "") {
		return relay{}, errors.New("DAYBOOK_SMTP_URL must have both a user and a password, or neither")
	}
	return r, nil
}

func parseSecurity(query string) (security, error) {
	parameters, err := url.ParseQuery(query)
	if err != nil {
		return "", errors.New(relayForm)
	}
	// What was given is not quoted: a '?' in a password makes it part of it.
	for name, values := range parameters {
		if name != "tls" || len(values) != 1 {
			return "", errors.New("DAYBOOK_SMTP_URL may have one parameter, tls, given once")
		}
	}
	chosen := security(cmp.Or(parameters.Get("tls"), string(startTLS)))
	if _, ok := defaultPorts[chosen]; !ok {
		return "", errors.New("DAYBOOK_SMTP_URL must have tls=starttls, tls=implicit or tls=none")
	}
	return chosen, nil
}
