// Package token computes the one-time tokens of mailed links. Nothing stores
// them: mailer and command compute the same value.
//
// A token is `<key id>.<base64url of an HMAC>`. The HMAC's key is derived (HKDF)
// from a token key of the configuration and the account's data key of the vault,
// so nobody who reads only the log or only the vault can make one, and a token
// dies with the erasure of its account. Purpose, account, request and end are
// authenticated, each with its length, so that no token stands for another.
package token
