package email

import (
	"embed"
	"encoding/base64"
	"fmt"
	html "html/template"
	"strings"
	text "text/template"
	"time"

	"github.com/google/uuid"
)

// letter is a mail ready to be sent, in both of its shapes.
type letter struct {
	id      string // the Message-ID without its angle brackets
	to      string // the stored spelling of the address
	subject string
	text    string
	html    string
}

// facts are what the wording of a mail may name.
type facts struct {
	Name    string // may be empty
	Host    string // of the public URL
	Link    string // empty in a notice
	Minutes string // the life of the link in words
	End     string // the exact end of the link's life
	At      string // when it happened
	SignIns []signInFacts
	More    int // sign-ins that are not among them
}

// wording is how a kind of mail is put. Its text is in templates/; a paragraph
// that is nothing but the link becomes the HTML part's button.
type wording struct {
	subject string
	button  string
	path    string // of the link, below the public URL
}

// wordings are fixed by the HTTP contract, section Mail, where it names them. No subject names
// anything that a person has typed.
var wordings = map[kind]wording{
	kindActivation:             {"Please, verify your account", "Verify my account", "/users/register/confirm"},
	kindInvitation:             {"An account was opened for you", "Choose my password", "/users/register/confirm"},
	kindReset:                  {"Password reset instructions", "Choose a new password", "/users/password-change/confirm/change-password"},
	kindPasswordChanged:        {subject: "Your password was changed"},
	kindNewAddress:             {"Please, confirm your new address", "Confirm the address", "/users/email-change/confirm"},
	kindAddressChangeRequested: {subject: "A change of your address was asked for"},
	kindAddressChanged:         {subject: "Your address was changed"},
	kindAlreadyRegistered:      {subject: "You already have an account"},
	kindNewDevice:              {subject: "New sign-in to your account"},
	kindErased:                 {subject: "Your account was erased"},
}

//go:embed templates
var templateFiles embed.FS

var (
	textTemplates = text.Must(text.ParseFS(templateFiles, "templates/*.txt"))
	htmlTemplate  = html.Must(html.ParseFS(templateFiles, "templates/letter.html"))
)

// render writes the mail. The HTML part is made from the text part, paragraph by
// paragraph, so that neither says what the other does not.
func render(mail kind, f facts) (letter, error) {
	var plain strings.Builder
	if err := textTemplates.ExecuteTemplate(&plain, string(mail)+".txt", f); err != nil {
		return letter{}, fmt.Errorf("render the text of %s: %w", mail, err)
	}
	words := wordings[mail]
	page := struct {
		Subject, Button, Link string
		Paragraphs            []string
	}{words.subject, words.button, f.Link, strings.Split(strings.TrimSpace(plain.String()), "\n\n")}
	var marked strings.Builder
	if err := htmlTemplate.Execute(&marked, page); err != nil {
		return letter{}, fmt.Errorf("render the HTML of %s: %w", mail, err)
	}
	return letter{subject: words.subject, text: plain.String(), html: marked.String()}, nil
}

// link returns the address that the person opens. uidb64 is unpadded URL-safe
// base64 of the id's text, as the HTTP contract wants it.
func link(publicURL string, mail kind, account uuid.UUID, token string) string {
	uid := base64.RawURLEncoding.EncodeToString([]byte(account.String()))
	return publicURL + wordings[mail].path + "/" + uid + "/" + token + "/"
}

// tolerance is for the moments between the end's calculation and the append.
const tolerance = 10 * time.Second

// minutes puts a life in words; the exact end stands beside it.
func minutes(life time.Duration) string {
	switch n := int((life + tolerance) / time.Minute); n {
	case 0:
		return "less than a minute"
	case 1:
		return "1 minute"
	default:
		return fmt.Sprintf("%d minutes", n)
	}
}

// instant writes a time with its zone, cut to the second, which is never late.
func instant(at time.Time) string { return at.UTC().Format("2 January 2006, 15:04:05 MST") }
