package app

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"daybook/internal/vault"
)

// keys are the secrets of a deployment.
type keys struct {
	master, token, address vault.KeySet
}

// keyFile is what DATA_DIR/keys.json holds: keys that were made because none
// were given, and the keys of the embedded object store.
type keyFile struct {
	Master   string `json:"master"`
	Token    string `json:"token"`
	Address  string `json:"address"`
	S3Access string `json:"s3_access"`
	S3Secret string `json:"s3_secret"`
}

const keyFileName = "keys.json"

// loadKeys parses the given keys, or takes the generated ones for those that
// are not given.
func loadKeys(s *Settings, generated keyFile) (keys, error) {
	var k keys
	for _, set := range []struct {
		into             *vault.KeySet
		setting          string
		given, generated string
	}{
		{&k.master, "DAYBOOK_MASTER_KEYS", s.MasterKeys, generated.Master},
		{&k.token, "DAYBOOK_TOKEN_KEYS", s.TokenKeys, generated.Token},
		{&k.address, "DAYBOOK_ADDRESS_KEYS", s.AddressKeys, generated.Address},
	} {
		text := set.given
		if text == "" {
			text = set.generated
		}
		parsed, err := vault.ParseKeySet(text)
		if err != nil {
			return keys{}, fmt.Errorf("%s: %w", set.setting, err)
		}
		*set.into = parsed
	}
	return k, nil
}

// fingerprints tells the store which keys are in use without telling the keys.
func (k keys) fingerprints() map[string]string {
	prints := map[string]string{}
	for kind, set := range map[string]vault.KeySet{"master": k.master, "token": k.token, "address": k.address} {
		for _, key := range set {
			prints[kind+":"+key.ID] = key.Fingerprint()
		}
	}
	return prints
}

// idKey keys the derivation of ids. It comes from the oldest address key, which
// stays for as long as any address is claimed under it.
func (k keys) idKey() ([]byte, error) {
	return hkdf.Key(sha256.New, k.address[len(k.address)-1].Secret, nil, "daybook ids", sha256.Size)
}

// generatedKeys reads the data directory's key file, making it at the first
// start: written whole, synchronised and readable by the owner only, before
// anything is done with the keys.
func generatedKeys(dataDir string) (keyFile, error) {
	path := filepath.Join(dataDir, keyFileName)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKeyFile(path)
	}
	if err != nil {
		return keyFile{}, fmt.Errorf("read the generated keys: %w", err)
	}
	var file keyFile
	if err := json.Unmarshal(content, &file); err != nil {
		return keyFile{}, fmt.Errorf("%s is damaged; restore it from a backup: %w", path, err)
	}
	return file, nil
}

func makeKeyFile(path string) (keyFile, error) {
	file := keyFile{
		Master: newKeySet(), Token: newKeySet(), Address: newKeySet(),
		S3Access: "daybook", S3Secret: base64.RawURLEncoding.EncodeToString(randomBytes(24)),
	}
	content, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return keyFile{}, err
	}
	return file, writeSynced(path, append(content, '\n'), 0o600)
}

func newKeySet() string {
	// The id is random: a second set of generated keys must not pass for the first.
	id := fmt.Sprintf("g%x", randomBytes(4))
	return vault.KeySet{{ID: id, Secret: randomBytes(32)}}.String()
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}

// writeSynced writes a file so that it is there whole or not at all.
func writeSynced(path string, content []byte, mode os.FileMode) error {
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, errWrite := file.Write(content)
	if err := errors.Join(errWrite, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
