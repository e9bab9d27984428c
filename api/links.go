package api

import (
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/google/uuid"
)

// encodeID writes an account's id as the links of mails carry it: unpadded
// URL-safe base64 of its text of 36 characters.
func encodeID(id uuid.UUID) string {
	return base64.RawURLEncoding.EncodeToString([]byte(id.String()))
}

// decodeID reads the one spelling that encodeID writes and no other: a link
// must not have twins that a filter sees as different.
func decodeID(encoded string) (uuid.UUID, bool) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return uuid.UUID{}, false
	}
	id, err := uuid.ParseBytes(text)
	if err != nil || encodeID(id) != encoded {
		return uuid.UUID{}, false
	}
	return id, true
}

// splitToken cuts "uidb64:token".
func splitToken(combined string) (id uuid.UUID, token string, ok bool) {
	encoded, token, found := strings.Cut(combined, ":")
	if !found || token == "" || strings.Contains(token, ":") {
		return uuid.UUID{}, "", false
	}
	id, ok = decodeID(encoded)
	return id, token, ok
}

// confirmedURL is where a person lands after activation.
func (c Config) confirmedURL() string { return c.frontend() + "/auth/confirmed" }

// linkRefusedURL is where every link leads that does not work. The frontend
// cuts the reason out of the query itself: blanks are %20, never '+'.
func (c Config) linkRefusedURL() string {
	return c.frontend() + "/auth/regenerate-token?reason=" + url.PathEscape(linkRefused)
}

const linkRefused = "It appears that your confirmation token has expired or previously used. Kindly generate a new token"

// addressConfirmedURL is where a person lands whose new address counts.
func (c Config) addressConfirmedURL() string { return c.PublicURL + "/users/email-change/confirmed/" }

// addressRefusedURL is where a link to a new address leads that does not work.
func (c Config) addressRefusedURL() string { return c.PublicURL + "/users/email-change/refused/" }

// newPasswordURL is where a person types the new password.
func (c Config) newPasswordURL(id uuid.UUID, second string) string {
	return c.frontend() + "/auth/password/change-password?token=" + encodeID(id) + ":" + url.PathEscape(second)
}
