package domain

import (
	"strings"
	"testing"
	"time"
)

func TestPasswordPolicy(t *testing.T) {
	family := "\U0001f468\u200d\U0001f469\u200d\U0001f467"
	cases := []valueCase{
		{"of the seed", "12345SomeData", "12345SomeData"},
		{"of the seed too", "SomeOther123456", "SomeOther123456"},
		{"and this", "123456Data", "123456Data"},
		{"eight characters", "xk7#qp2z", "xk7#qp2z"},
		{"15 emoji", strings.Repeat("\U0001f600", 15), strings.Repeat("\U0001f600", 15)},
		{"emoji of several code points", family + family, family + family},
		{"Thai", "รหัสผ่านของฉันยาวมาก", "รหัสผ่านของฉันยาวมาก"},
		{"blanks count", "a b c d e f", "a b c d e f"},
		{"blanks around are kept", "  xk7#qp2z  ", "  xk7#qp2z  "},
		{"control characters", "xk7\x00\t\nqp2z", "xk7\x00\t\nqp2z"},
		{"composed and decomposed are one", "pass\u0065\u0301xk7q", "pass\u00e9xk7q"},
		{"256 code points", strings.Repeat("\U0001f600x", 128), strings.Repeat("\U0001f600x", 128)},
		{"256 characters, decomposed", strings.Repeat("e\u0301", 256), strings.Repeat("é", 256)},
		{"the name within something else", "ada-likes-engines", "ada-likes-engines"},
		{"a common one within something else", "password-of-lovelace", "password-of-lovelace"},

		{"empty", "", ""},
		{"seven characters", "xk7#qp2", ""},
		{"seven emoji", strings.Repeat("\U0001f600", 7), ""},
		{"seven characters, decomposed", strings.Repeat("e\u0301", 7), ""},
		{"257 code points", strings.Repeat("x7", 128) + "x", ""},
		{"common", "password", ""},
		{"common in capitals", "PASSWORD", ""},
		{"common with digits", "Password123", ""},
		{"common digits", "12345678", ""},
		{"common repeated", "passwordpassword", ""},
		{"common repeated with blanks", "password Password", ""},
		{"the address", "ada.lovelace@example.com", ""},
		{"the local part", "ada.lovelace", ""},
		{"the local part in capitals", "Ada.LoveLace", ""},
		{"the local part and digits", "ada.lovelace1815", ""},
		{"the last name and digits", "Löwelace1815", ""},
		{"the last name, decomposed", "Lo\u0308welace1815", ""},
		{"both names", "AugustaLöwelace", ""},
		{"the service", "Daybook1", ""},
		{"the service repeated", "daybookdaybook", ""},
		{"the service and the name", "daybook_augusta!", ""},
		{"invalid UTF-8", "xk7#qp2z\xff", ""},
		{"a lone surrogate", "xk7#qp2z\xed\xa0\x80", ""},
	}
	runPasswords(t, PasswordPolicy{MinLength: 8}, cases)
}

func runPasswords(t *testing.T, policy PasswordPolicy, cases []valueCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := policy.Check(c.typed, "Ada.Lovelace@example.com", "Augusta", "Lo\u0308welace", "")
			if got != c.stored || (err == nil) != (c.stored != "") {
				t.Fatalf("%q: %q (%v), want %q", c.typed, got, err, c.stored)
			}
			if err != nil && strings.Contains(err.Error(), c.typed) && c.typed != "" && c.typed != "password" {
				t.Errorf("refusal %q tells the password", err)
			}
			if err == nil && NormalPassword(c.typed) != got {
				t.Errorf("sign-in would compare %q with %q", NormalPassword(c.typed), got)
			}
		})
	}
}

func TestPasswordPolicyFloor(t *testing.T) {
	runPasswords(t, PasswordPolicy{MinLength: 15}, []valueCase{
		{"14 of 15", "xk7#qp2z-xk7#q", ""},
		{"15 of 15", "xk7#qp2z-xk7#qp", "xk7#qp2z-xk7#qp"},
	})
	runPasswords(t, PasswordPolicy{}, []valueCase{
		{"nothing, without a setting", "", ""},
		{"7 of 8, without a setting", "xk7#qp2", ""},
		{"8 of 8, without a setting", "xk7#qp2z", "xk7#qp2z"},
	})
}

func TestPasswordPolicyIsBounded(t *testing.T) {
	for _, typed := range []string{
		strings.Repeat("x", 1<<20), strings.Repeat("\u0301", 1<<19), strings.Repeat("\xff", 1<<20), strings.Repeat("password", 100),
	} {
		start := time.Now()
		if _, err := (PasswordPolicy{}).Check(typed, "ada@example.com"); err == nil {
			t.Errorf("%.10q… was accepted", typed)
		}
		if took := time.Since(start); took > 200*time.Millisecond {
			t.Errorf("%.10q… took %s", typed, took)
		}
	}
}

// The list is looked up in lower case and NFC, after the length was checked.
func TestCommonPasswordsCanBeFound(t *testing.T) {
	if len(commonPasswords()) < 3000 {
		t.Errorf("%d common passwords, NIST asks for several thousands", len(commonPasswords()))
	}
	for common := range commonPasswords() {
		if _, err := (PasswordPolicy{}).Check(common); err == nil {
			t.Errorf("%q is in the list and accepted", common)
		}
		if len(common) < minPasswordLength {
			t.Errorf("%q is in the list for nothing: it is too short anyway", common)
		}
	}
}
