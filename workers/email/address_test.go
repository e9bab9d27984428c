package email

import (
	"cmp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	catcher "daybook/internal/embedded/smtp"
)

const newAddress = "Zerlina.New@mail.example"

// newClaim is a claim stream of the test's own: the event store is shared.
func newClaim() string { return domain.AddressStream("a", []byte(uuid.NewString())) }

func changeRequest(claim string, life time.Duration) domain.AddressChangeRequested {
	return domain.AddressChangeRequested{ChangeID: uuid.New(), AddressClaim: claim, ExpiresAt: in(life),
		Personal: domain.Seal(domain.NewAddress{Email: newAddress})}
}

func changeMade(e domain.AddressChangeRequested) domain.AddressChanged {
	return domain.AddressChanged{ChangeID: e.ChangeID, AddressClaim: e.AddressClaim, FormerClaim: "address-a-00", Personal: e.Personal}
}

// bySubject finds the one mail with the subject.
func bySubject(t *testing.T, mails []catcher.Message, subject string) catcher.Message {
	t.Helper()
	var found []catcher.Message
	for _, mail := range mails {
		if mail.Subject == subject {
			found = append(found, mail)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d mails %q in %s", len(found), subject, describe(mails))
	}
	return found[0]
}

// TestAddressChangeIsMailed: the link to the new address, the notices to the former.
func TestAddressChangeIsMailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.activate(t)
	asked := changeRequest(newClaim(), time.Hour)
	w.append(t, 0, asked)
	w.append(t, 0, asked) // the link is mailed again, the notice is not
	w.react(t)
	jobs, mails := w.send(t, w.config())
	if got, want := outcomes(jobs), "new_address sent, address_change_requested sent, new_address sent, address_change_requested skipped asked again"; got != want {
		t.Errorf("outcomes are %s, want %s", got, want)
	}
	links, notice := 0, bySubject(t, mails, "A change of your address was asked for")
	for _, mail := range mails {
		if mail.Subject != "Please, confirm your new address" {
			continue
		}
		links++
		w.checkLink(t, mail.Text, "/users/email-change/confirm/", domain.PurposeNewAddress, asked.ChangeID, asked.ExpiresAt)
		if mail.To[0] != newAddress || strings.Contains(mail.Text, w.firstName) || mail.MessageID == notice.MessageID {
			t.Errorf("to %v, Message-ID %s:\n%s", mail.To, mail.MessageID, mail.Text)
		}
	}
	if links != 2 || notice.To[0] != w.address || strings.Contains(notice.Text+notice.HTML, newAddress) || anyLink.MatchString(notice.Text) {
		t.Errorf("%d links; notice to %v:\n%s", links, notice.To, notice.Text)
	}
}

// TestNoticesGoToTheFormerAddress, also when the mail is late: who made the change
// reads the new one.
func TestNoticesGoToTheFormerAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.activate(t)
	w.append(t, 0, domain.PasswordChanged{CredentialID: uuid.New(), Cause: domain.CauseChange})
	asked := changeRequest(newClaim(), time.Hour)
	w.append(t, 0, asked)
	w.append(t, 0, changeMade(asked))
	w.append(t, 0, domain.PasswordChanged{CredentialID: uuid.New(), Cause: domain.CauseChange})
	w.react(t)
	jobs, mails := w.send(t, w.config())
	if got, want := outcomes(jobs), "password_changed sent, new_address skipped used, address_change_requested skipped used, address_changed sent, password_changed sent"; got != want {
		t.Errorf("outcomes are %s, want %s", got, want)
	}
	var passwords []string
	for _, mail := range mails {
		if mail.Subject == "Your password was changed" {
			passwords = append(passwords, mail.To[0])
		}
	}
	if got := bySubject(t, mails, "Your address was changed").To[0]; got != w.address {
		t.Errorf("the notice went to %s", got)
	}
	if len(passwords) != 2 || passwords[0] == passwords[1] {
		t.Errorf("the notices of the two passwords went to %v, want one to each address", passwords)
	}
}

// TestLinkIsNotMailedToATakenAddress: its owner is told otherwise, by the command.
func TestLinkIsNotMailedToATakenAddress(t *testing.T) {
	for name, c := range map[string]struct {
		under, email string // how the holder of the claim registered; default: by the claim
		holder       []domain.Event
		want         string
	}{
		"active":                 {holder: []domain.Event{domain.AccountActivated{}}, want: "new_address skipped address taken, address_change_requested sent"},
		"under another key":      {"address-b-00", strings.ToLower(newAddress), []domain.Event{domain.AccountActivated{}}, "new_address skipped address taken, address_change_requested sent"},
		"never activated":        {want: "new_address sent, address_change_requested sent"},
		"has another one by now": {holder: []domain.Event{domain.AccountActivated{}, domain.AddressChanged{AddressClaim: "address-a-77"}}, want: "new_address sent, address_change_requested sent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.activate(t)
			own, claim := w.account, newClaim()
			w.account = uuid.New()
			w.append(t, time.Hour, append([]domain.Event{domain.AccountRegistered{AddressClaim: cmp.Or(c.under, claim), Personal: domain.Seal(domain.RegisteredDetails{Email: c.email})}}, c.holder...)...)
			_, err := w.repo.Append(t.Context(), domain.Append{Stream: claim, Expected: domain.NoStream,
				Events: []domain.Event{domain.AddressClaimed{AccountID: w.account}}, Metadata: domain.Metadata{CommandID: uuid.New()}})
			if err != nil {
				t.Fatal(err)
			}
			w.account = own
			w.append(t, 0, changeRequest(claim, time.Hour))
			w.react(t)
			jobs, _ := w.send(t, w.config())
			if got := outcomes(jobs); got != c.want {
				t.Errorf("outcomes are %s, want %s", got, c.want)
			}
		})
	}
}

// TestUntrueAddressMails are not sent.
func TestUntrueAddressMails(t *testing.T) {
	now, change := time.Now(), uuid.New()
	open := domain.AddressChange{ID: change, AddressClaim: "address-a-01", Email: newAddress, Revision: 5, ExpiresAt: now.Add(time.Hour)}
	with := func(edit func(a *domain.Account)) domain.Account {
		a := domain.Account{Status: domain.StatusActive, Email: "a@b.example", AddressMailedAt: []time.Time{now}, AddressChange: open}
		edit(&a)
		return a
	}
	for _, c := range []struct {
		name         string
		account      domain.Account
		link, notice string // why not
	}{
		{"open", with(func(*domain.Account) {}), "", ""},
		{"superseded", with(func(a *domain.Account) { a.AddressChange.ID = uuid.New() }), superseded, superseded},
		{"dead by a new password", with(func(a *domain.Account) { a.AddressChange.Closed = true }), used, ""},
		{"made", with(func(a *domain.Account) { a.AddressChange.Closed, a.AddressChange.FormerClaim = true, "address-a-00" }), used, used},
		{"ended", with(func(a *domain.Account) { a.AddressChange.ExpiresAt = now }), expired, ""},
		{"shut", with(func(a *domain.Account) { a.Status = domain.StatusDeactivated }), notActive, ""},
		{"mailed again", with(func(a *domain.Account) { a.AddressChange.Revision = 4 }), "", askedAgain},
		{"erased", with(func(a *domain.Account) { a.Erased = true }), erased, erased},
		{"erased while the stream is read", with(func(a *domain.Account) { a.AddressChange.Email, a.Email = "", "" }), erased, erased},
	} {
		for mail, want := range map[kind]string{kindNewAddress: c.link, kindAddressChangeRequested: c.notice} {
			task := task{mail: mail, request: change, revision: 5, occurredAt: now, until: now.Add(time.Hour), attempt: 1}
			if got := untrue(task, c.account, now); got != want {
				t.Errorf("%s, %s: %q, want %q", c.name, mail, got, want)
			}
		}
	}
}

// outcomes puts what became of jobs in words, in the order of their events.
func outcomes(jobs []job) string {
	var words []string
	for _, j := range jobs {
		words = append(words, j.Mail+" "+j.Output)
	}
	return strings.Join(words, ", ")
}
