package email

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

var testFacts = facts{
	Name: "Ada", Host: "daybook.example", Link: "https://daybook.example/users/register/confirm/QQ/k1.abc_-/",
	Minutes: "10 minutes", End: "25 November 2026, 00:17:03 UTC", At: "25 November 2026, 00:07:03 UTC",
}

func factsOf(mail kind) facts {
	f := testFacts
	if wordings[mail].path == "" {
		f.Link, f.Minutes, f.End = "", "", ""
	}
	if mail == kindErased {
		f.Link, f.Minutes, f.End = "", "", ""
	}
	if mail == kindNewDevice {
		f.SignIns = []signInFacts{{At: f.At, Device: "Firefox on Linux", Address: "203.0.113.9"}, {At: f.At, Device: "Unknown device"}}
		f.More = 3
	}
	return f
}

var anyURL = regexp.MustCompile(`(?i)\b[a-z]+://[^\s"<>]+`)

func TestBothPartsSayTheSame(t *testing.T) {
	for mail, words := range wordings {
		f := factsOf(mail)
		l, err := render(mail, f)
		if err != nil {
			t.Fatal(err)
		}
		shown := strings.TrimSpace(visible(t, l.html))
		want := strings.TrimSpace(l.text)
		if f.Link != "" {
			want = strings.Replace(want, f.Link, words.button, 1)
		}
		if strings.Join(strings.Fields(shown), " ") != strings.Join(strings.Fields(want), " ") {
			t.Errorf("%s shows\n%s\nbut its text is\n%s", mail, shown, want)
		}
		for part, content := range map[string]string{"text": l.text, "HTML": l.html} {
			found := anyURL.FindAllString(content, -1)
			if f.Link == "" && len(found) != 0 || f.Link != "" && (len(found) != 1 || found[0] != f.Link) {
				t.Errorf("the %s of %s holds %q, want the link %q alone", part, mail, found, f.Link)
			}
		}
		if l.subject != words.subject || strings.Contains(l.subject, f.Name) {
			t.Errorf("the subject of %s is %q", mail, l.subject)
		}
	}
}

func TestNameIsTextInHTML(t *testing.T) {
	for mail := range wordings {
		f := factsOf(mail)
		f.Name = greetingName(`<img src=x> & "Co"`)
		l, err := render(mail, f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(l.html, "<img") || !strings.Contains(visible(t, l.html), `Hello <img src=x> & "Co",`) {
			t.Errorf("%s:\n%s", mail, l.html)
		}
	}
}

func TestGreetingName(t *testing.T) {
	shown := map[string]string{
		"Ada": "Ada", " Ada  Maria ": "Ada Maria", "O'Neil": "O'Neil", "J. R.": "J. R.", "王芳": "王芳",
		"Jean-Baptiste": "Jean-Baptiste", "علی\u200cرضا": "علی\u200cرضا", "X 3rd": "X 3rd", "Ada\nMaria": "Ada Maria",
	}
	for name, want := range shown {
		if got := greetingName(name); got != want {
			t.Errorf("%q is shown as %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{
		"https://evil.example", "WWW.evil", "go to evil.example", "evil。example", "mail me@evil", "call 0900123456",
		strings.Repeat("Ada ", 11), "Ada\x00", "Ada\x1b[31m", "evil.example.", "Ada\xff",
	} {
		if got := greetingName(name); got != "" {
			t.Errorf("%q is shown as %q", name, got)
		}
	}
}

func TestMinutesAndInstant(t *testing.T) {
	for life, want := range map[time.Duration]string{
		10 * time.Minute: "10 minutes", 24 * time.Hour: "1440 minutes", time.Minute: "1 minute",
		110*time.Second - 1: "1 minute", 10*time.Minute - time.Second: "10 minutes", 2 * time.Second: "less than a minute",
	} {
		if got := minutes(life); got != want {
			t.Errorf("%v is %q, want %q", life, got, want)
		}
	}
	lagos := time.FixedZone("WAT", 3600)
	if got, want := instant(time.Date(2026, 1, 2, 0, 30, 5, 999999999, lagos)), "1 January 2026, 23:30:05 UTC"; got != want {
		t.Errorf("instant is %q, want %q", got, want)
	}
}

// visible returns what a mail program shows of a page's body.
func visible(t *testing.T, page string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for node := range root.Descendants() {
		if node.Type == html.TextNode && node.Parent.Data != "title" && node.Parent.Data != "style" {
			text.WriteString(node.Data)
		}
	}
	return text.String()
}
