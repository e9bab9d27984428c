package domain

// Purpose says what a one-time token proves; a token of one purpose is worth
// nothing for another.
type Purpose string

const (
	// PurposeActivation is the mailed link that proves the mailbox.
	PurposeActivation Purpose = "activation"
	// PurposeReset is the mailed link of a password reset.
	PurposeReset Purpose = "reset"
	// PurposeNewPassword is the second token, for which a reset link is exchanged.
	PurposeNewPassword Purpose = "new-password"
	// PurposeNewAddress is the link mailed to a new address, which it proves.
	PurposeNewAddress Purpose = "new-address"
)
