package smtp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
	"time"
)

// maxDepth is how deep parts may lie in parts; deeper ones are not shown.
const maxDepth = 5

// Message is one received message, with the members of the mailbox's JSON.
type Message struct {
	ID         string    `json:"id"`          // opaque, sorts by time
	From       string    `json:"from"`        // address of the From field, else of the envelope
	To         []string  `json:"to"`          // the envelope's recipients, as given
	Subject    string    `json:"subject"`     // decoded
	Text       string    `json:"text"`        // first text/plain part, decoded; "" if none
	HTML       string    `json:"html"`        // first text/html part, decoded; "" if none
	MessageID  string    `json:"message_id"`  // with its angle brackets, as sent
	ReceivedAt time.Time `json:"received_at"` // UTC, microseconds
}

// parseMessage never fails: what cannot be read as mail is shown as text.
func parseMessage(raw []byte) Message {
	read, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Message{Text: printable(raw)}
	}
	m := Message{Subject: decodeWords(read.Header.Get("Subject")), MessageID: read.Header.Get("Message-Id")}
	if from, err := mail.ParseAddress(read.Header.Get("From")); err == nil {
		m.From = from.Address
	}
	m.addPart(textproto.MIMEHeader(read.Header), read.Body, 0)
	return m
}

func decodeWords(s string) string {
	decoded, err := new(mime.WordDecoder).DecodeHeader(s)
	if err != nil {
		return s
	}
	return decoded
}

func (m *Message) addPart(header textproto.MIMEHeader, body io.Reader, depth int) {
	mediaType, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		mediaType = "text/plain" // RFC 2045, section 5.2
	}
	if strings.HasPrefix(mediaType, "multipart/") {
		if depth < maxDepth {
			m.addParts(multipart.NewReader(body, parameters["boundary"]), depth)
		}
		return
	}
	target := map[string]*string{"text/plain": &m.Text, "text/html": &m.HTML}[mediaType]
	if target != nil && *target == "" {
		*target = decodeBody(header.Get("Content-Transfer-Encoding"), parameters["charset"], body)
	}
}

func (m *Message) addParts(parts *multipart.Reader, depth int) {
	for {
		part, err := parts.NextRawPart()
		if err != nil {
			return // the end, or as far as it can be read
		}
		m.addPart(part.Header, part, depth+1)
	}
}

// decodeBody shows what could be decoded when the rest is damaged.
func decodeBody(encoding, charset string, body io.Reader) string {
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	content, err := io.ReadAll(body)
	text := decodeCharset(charset, content)
	if err != nil {
		text += fmt.Sprintf("\n[the rest cannot be decoded: %v]", err)
	}
	return strings.ReplaceAll(text, "\r\n", "\n")
}

// decodeCharset knows UTF-8, its subset ASCII, and Latin-1, whose bytes are the
// first 256 code points.
func decodeCharset(charset string, content []byte) string {
	if !strings.EqualFold(charset, "iso-8859-1") {
		return printable(content)
	}
	var text strings.Builder
	for _, b := range content {
		text.WriteRune(rune(b))
	}
	return text.String()
}

func printable(content []byte) string { return strings.ToValidUTF8(string(content), "\uFFFD") }
