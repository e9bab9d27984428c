package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"daybook/internal/app"
)

const (
	subjectNewAddress     = "Please, confirm your new address"
	subjectAddressAsked   = "A change of your address was asked for"
	subjectAddressChanged = "Your address was changed"
	addressSent           = "A link has been sent to the new address. Open it before it expires to confirm that the address is yours"
)

func (b *browser) askAddress(email, password string) answer {
	b.tb.Helper()
	return b.post("/users/me/email/", map[string]any{"email": email, "password": password})
}

// addressLink asks for the change and returns the path of the link in the nth mail.
func (b *browser) addressLink(email string, n int) string {
	b.tb.Helper()
	if a := b.askAddress(email, goodPassword); a.Status != http.StatusOK {
		b.tb.Fatalf("ask for %s: %d %s", email, a.Status, a.Body)
	}
	return b.awaitMail(email, subjectNewAddress, n).link(b.tb)
}

func (s *service) addressRefused() string   { return s.app.URL() + "/users/email-change/refused/" }
func (s *service) addressConfirmed() string { return s.app.URL() + "/users/email-change/confirmed/" }

// TestChangeOfAddress goes the whole way by HTTP and the mails that arrive, in both
// contracts, with and without projectors.
func TestChangeOfAddress(t *testing.T) {
	for _, contract := range []string{"hardened", "seed"} {
		t.Run(contract, func(t *testing.T) {
			frozen(t, func(t *testing.T, roles app.Roles) {
				set := settings(t)
				set.Contract = contract
				changeOfAddress(t, startRoles(t, set, roles), contract)
			})
		})
	}
}

func changeOfAddress(t *testing.T, s *service, contract string) {
	const former, address = "Ann.Lee@example.com", "Ann@new.example"
	b, other := s.signedIn(former), s.browser()
	want(t, other.signIn(former, goodPassword), http.StatusOK, "", "")
	reset := s.browser().requestReset(former, 1)
	refusedRequests(t, b, former)
	link := b.addressLink(address, 1)
	s.awaitMail(former, subjectAddressAsked, 1)

	visitor := s.browser() // without a session
	for _, method := range []string{http.MethodHead, http.MethodGet, http.MethodGet} {
		if a := visitor.do(method, link, nil, ""); a.Status != http.StatusOK || method == http.MethodGet && !strings.Contains(string(a.Body), address) {
			t.Fatalf("%s: %d %s", method, a.Status, a.Body)
		}
	}
	want(t, b.get("/users/current-user/"), http.StatusOK, "email", former)
	version := b.get("/users/current-user/").JSON["version"]
	for range 2 { // whoever is not sure that the first click went through
		wantRedirect(t, visitor.do(http.MethodPost, link, nil, ""), s.addressConfirmed())
	}
	if page := visitor.get("/users/email-change/confirmed/"); page.Status != http.StatusOK || !strings.Contains(string(page.Body), s.app.URL()+"/auth/login") {
		t.Errorf("the page after it: %d %s", page.Status, page.Body)
	}

	now := b.get("/users/current-user/") // the session that asked
	want(t, now, http.StatusOK, "email", address)
	if now.JSON["version"] == version || now.Header.Get("ETag") == "" {
		t.Errorf("version %v, before %v", now.JSON["version"], version)
	}
	want(t, other.get("/users/current-user/"), http.StatusUnauthorized, "", "")
	want(t, visitor.signIn(former, goodPassword), http.StatusBadRequest, "error", "Email and password do not match")
	want(t, visitor.signIn("ANN@new.example", goodPassword), http.StatusOK, "email", address)
	want(t, s.browser().changeByReset(reset, "SomeOther123456"), http.StatusBadRequest, "", "")
	notice := s.awaitMail(former, subjectAddressChanged, 1)
	if strings.Contains(strings.ToLower(notice.Text+notice.HTML), strings.ToLower(address)) {
		t.Error("the notice names the new address")
	}
	formerIsFree(t, s, former, address, contract)
}

func refusedRequests(t *testing.T, b *browser, former string) {
	t.Helper()
	want(t, b.service.browser().askAddress("free@example.com", goodPassword), http.StatusUnauthorized, "", "")
	want(t, b.askAddress("free@example.com", "wrong"), http.StatusForbidden, "error", "The current password is not right")
	want(t, b.askAddress(strings.ToUpper(former), goodPassword), http.StatusBadRequest, "error", "This is the address of your account already.")
	want(t, b.askAddress("Ann <ann@new.example>", goodPassword), http.StatusBadRequest, "error", "Enter a valid email address.")
	want(t, b.post("/users/me/email/", map[string]any{"email": "free@example.com"}), http.StatusBadRequest, "error", "Please provide email and password")
	want(t, b.post("/users/me/email/", map[string]any{"email": "free@example.com", "password": goodPassword, "id": "x"}), http.StatusBadRequest, "", "")
}

// formerIsFree for somebody else, and of no more use for the account.
func formerIsFree(t *testing.T, s *service, former, address, contract string) {
	t.Helper()
	visitor := s.browser()
	asked := visitor.post("/users/password-change/request-password-change/", map[string]any{"email": former})
	if wanted := map[string]int{"hardened": http.StatusOK, "seed": http.StatusNotFound}[contract]; asked.Status != wanted {
		t.Errorf("a reset for the former address: %d %s", asked.Status, asked.Body)
	}
	visitor.requestReset(address, 1)
	next := visitor.post("/users/register/", map[string]any{"email": former, "first_name": "New", "last_name": "Owner", "password": goodPassword})
	want(t, next, http.StatusCreated, "", "")
	visitor.activate(s.awaitMail(former, subjectActivation, 2).link(t))
	want(t, visitor.signIn(former, goodPassword), http.StatusOK, "first_name", "New")
	if n := len(slices.DeleteFunc(s.mails(former), func(m mail) bool { return m.Subject != subjectReset })); n != 1 {
		t.Errorf("%d reset mails to the former address", n)
	}
}

// TestTakenAddressOverHTTP: in the hardened contract nothing tells it from a free one:
// not the answer, not the mails to the own address, not the own history.
func TestTakenAddressOverHTTP(t *testing.T) {
	t.Parallel()
	const owner = "owner@example.com"
	for _, contract := range []string{"hardened", "seed"} {
		t.Run(contract, func(t *testing.T) {
			t.Parallel()
			set := settings(t)
			set.Contract = contract
			s := start(t, set)
			s.register(owner)
			shapes := map[string]string{}
			for name, wanted := range map[string]string{"taken": owner, "free": "free@example.com"} {
				own := name + "@example.org"
				b := s.signedIn(own)
				a := b.askAddress(wanted, goodPassword)
				if contract == "seed" && name == "taken" {
					want(t, a, http.StatusBadRequest, "error", "A user with that email address already exists")
					continue
				}
				want(t, a, http.StatusOK, "message", addressSent)
				s.awaitMail(own, subjectAddressAsked, 1)
				b.awaitHistory("the request", func(e entry) bool {
					return e.What == "AddressChangeRequested" && len(e.Changes) == 1 && e.Changes[0].Old == own && e.Changes[0].New == wanted
				})
				a.Header.Del("Date")
				a.Header.Del("X-Request-Id")
				shapes[name] = fmt.Sprint(a.Status, string(a.Body), a.Header)
			}
			if contract == "hardened" && shapes["taken"] != shapes["free"] {
				t.Errorf("taken: %s\nfree: %s", shapes["taken"], shapes["free"])
			}
			s.awaitMail(owner, "You already have an account", 1)
			s.awaitMail("free@example.com", subjectNewAddress, 1)
			for _, m := range s.mails(owner) {
				if m.Subject == subjectNewAddress {
					t.Error("a link was mailed to an address that somebody has")
				}
			}
		})
	}
}

// TestAddressLinksStandForThemselves: only its own kind takes a link to a new address,
// all that fail answer the same, and a wrong try spoils nothing (A10 to A12).
func TestAddressLinksStandForThemselves(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	const email, pending = "kinds@example.com", "waits@example.com"
	b := s.signedIn(email)
	b.post("/users/register/", map[string]any{"email": pending, "first_name": "A", "last_name": "B", "password": goodPassword})
	activation := s.awaitMail(pending, subjectActivation, 1).link(t)
	second := strings.SplitN(b.requestReset(email, 1), ":", 2)
	reset := s.awaitMail(email, subjectReset, 1).link(t)
	superseded := b.addressLink("first@new.example", 1)
	right := b.addressLink("second@new.example", 1)
	uid, token := uidOf(right), tokenOf(right)
	base := "/users/email-change/confirm/"
	visitor := s.browser()
	var first string
	for name, path := range map[string]string{
		"superseded": superseded, "activation": base + uidOf(activation) + "/" + tokenOf(activation) + "/", "reset": base + uid + "/" + tokenOf(reset) + "/",
		"second token": base + uid + "/" + second[1] + "/", "another's id": base + uidOf(activation) + "/" + token + "/",
		"cut": base + uid + "/" + token[:len(token)-1] + "/", "longer": base + uid + "/" + token + "A/", "another id's spelling": base + uid + "=/" + token + "/",
		"garbage": base + "x/y/", "long": base + uid + "/" + strings.Repeat("A", 5000) + "/", "session": base + uid + "/" + url.PathEscape(b.session) + "/",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := visitor.do(method, path, nil, "")
			wantRedirect(t, a, s.addressRefused())
			a.Header.Del("Date")
			a.Header.Del("X-Request-Id")
			shape := fmt.Sprint(a.Status, string(a.Body), a.Header)
			if first == "" {
				first = shape
			}
			if shape != first {
				t.Errorf("%s by %s: %s\nis not\n%s", name, method, shape, first)
			}
		}
	}
	for name, path := range map[string]string{
		"as activation": "/users/register/confirm/" + uid + "/" + token + "/",
		"as reset":      "/users/password-change/confirm/change-password/" + uid + "/" + token + "/",
	} {
		if location := visitor.activate(path).Header.Get("Location"); !strings.Contains(location, "/auth/regenerate-token?reason=") {
			t.Errorf("%s it leads to %q", name, location)
		}
	}
	want(t, visitor.changeByReset(uid+":"+token, "SomeOther123456"), http.StatusBadRequest, "", "")
	if page := visitor.get("/users/email-change/refused/"); page.Status != http.StatusOK {
		t.Errorf("the page of refused links: %d", page.Status)
	}
	wantRedirect(t, visitor.do(http.MethodPost, right, nil, ""), s.addressConfirmed())
}

// TestAddressLinksDie with a change of the password and with deactivation, with and
// without projectors (C56).
func TestAddressLinksDie(t *testing.T) {
	frozen(t, func(t *testing.T, roles app.Roles) {
		s := startRoles(t, settings(t), roles)
		b := s.signedIn("dies@example.com")
		link := b.addressLink("dies@new.example", 1)
		want(t, b.post("/users/me/password/", map[string]any{"current_password": goodPassword, "password": "SomeOther123456"}), http.StatusOK, "", "")
		wantRedirect(t, s.browser().do(http.MethodPost, link, nil, ""), s.addressRefused())
		want(t, b.get("/users/current-user/"), http.StatusOK, "email", "dies@example.com")
	})
}

// TestAddressChangesAreCapped, and asking again mails the same link.
func TestAddressChangesAreCapped(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	b := s.signedIn("often@example.com")
	link := b.addressLink("often@new.example", 1)
	for n := 2; n <= 6; n++ {
		if again := b.addressLink("often@new.example", n); again != link {
			t.Fatal("asking again killed the link")
		}
	}
	a := b.askAddress("often@new.example", goodPassword)
	want(t, a, http.StatusTooManyRequests, "", "")
	if a.Header.Get("Retry-After") != "3600" {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}
	if n := len(slices.DeleteFunc(s.mails("often@example.com"), func(m mail) bool { return m.Subject != subjectAddressAsked })); n != 1 {
		t.Errorf("%d notices of one change", n)
	}
	wantRedirect(t, s.browser().do(http.MethodPost, link, nil, ""), s.addressConfirmed())
}

// TestMailsPerHourIsASetting: a lower cap is told sooner.
func TestMailsPerHourIsASetting(t *testing.T) {
	t.Parallel()
	set := settings(t)
	set.MailsPerHour = 1
	b := start(t, set).signedIn("seldom@example.com")
	want(t, b.askAddress("seldom@new.example", goodPassword), http.StatusOK, "", "")
	want(t, b.askAddress("seldom@new.example", goodPassword), http.StatusTooManyRequests, "code", "too_many_address_changes")
	for _, refused := range []int{0, 61} {
		set.MailsPerHour = refused
		if err := set.Check(); err == nil || !strings.Contains(err.Error(), "DAYBOOK_MAILS_PER_HOUR") {
			t.Errorf("%d mails an hour: %v", refused, err)
		}
	}
}

// TestOneOwnerOverHTTP: of two accounts that use their links to one address at once,
// one gets it and the other keeps its own.
func TestOneOwnerOverHTTP(t *testing.T) {
	frozen(t, func(t *testing.T, roles app.Roles) {
		s := startRoles(t, settings(t), roles)
		const address = "both@new.example"
		owners := []*browser{s.signedIn("one@example.com"), s.signedIn("two@example.com")}
		answers := make(chan answer, len(owners))
		var links []string
		for i, b := range owners {
			links = append(links, b.addressLink(address, i+1))
		}
		for _, link := range links {
			go func() {
				a, err := s.browser().try(http.MethodPost, link, nil, "")
				if err != nil {
					t.Error(err)
				}
				answers <- a
			}()
		}
		got := []string{(<-answers).Header.Get("Location"), (<-answers).Header.Get("Location")}
		slices.Sort(got)
		if !slices.Equal(got, []string{s.addressConfirmed(), s.addressRefused()}) {
			t.Errorf("answers lead to %v", got)
		}
		emails := []string{owners[0].get("/users/current-user/").text("email"), owners[1].get("/users/current-user/").text("email")}
		if (emails[0] == address) == (emails[1] == address) {
			t.Errorf("addresses %v", emails)
		}
		want(t, s.browser().signIn(address, goodPassword), http.StatusOK, "email", address)
	})
}
