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

	"daybook/internal/keyring"
	"daybook/internal/vault"
)

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

// keySettings names the setting of each kind of keys.
var keySettings = map[string]string{
	keyring.Master: "DAYBOOK_MASTER_KEYS", keyring.Token: "DAYBOOK_TOKEN_KEYS", keyring.Address: "DAYBOOK_ADDRESS_KEYS",
}

// givenKeys are the keys of a kind as the settings give them; empty for generated ones.
func (s *Settings) givenKeys(kind string) string {
	return map[string]string{keyring.Master: s.MasterKeys, keyring.Token: s.TokenKeys, keyring.Address: s.AddressKeys}[kind]
}

// readKeys reads the keys from where they are kept at this moment: files that are named
// in the settings, and the generated ones. A setting itself stays what it was.
func (s *Settings) readKeys() (keyring.Sets, error) {
	var generated keyFile
	if s.generatesKeys() {
		var err error
		if generated, err = readKeyFile(filepath.Join(s.DataDir, keyFileName)); err != nil {
			return nil, err
		}
	}
	sets := keyring.Sets{}
	for _, kind := range keyring.Kinds() {
		text := s.givenKeys(kind)
		if path := s.KeyFiles[kind]; path != "" {
			content, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("%s_FILE cannot be read: %w", keySettings[kind], err)
			}
			text = string(content)
		} else if text == "" {
			text = *generated.of(kind)
		}
		set, err := vault.ParseKeySet(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", keySettings[kind], err)
		}
		sets[kind] = set
	}
	return sets, nil
}

func (s *Settings) generatesKeys() bool {
	return s.MasterKeys == "" || s.TokenKeys == "" || s.AddressKeys == ""
}

// idSecret is the name of the secret that keys the derivation of ids.
const idSecret = "ids"

// firstIDKey is what ids derive from in a new deployment. It comes from the oldest
// address key, as it always has; from the first start on the vault keeps it.
func firstIDKey(addresses vault.KeySet) ([]byte, error) {
	return hkdf.Key(sha256.New, addresses[len(addresses)-1].Secret, nil, "daybook ids", sha256.Size)
}

// generatedKeys reads the data directory's key file, making it at the first
// start: written whole, synchronised and readable by the owner only, before
// anything is done with the keys.
func generatedKeys(dataDir string) (keyFile, error) {
	path := filepath.Join(dataDir, keyFileName)
	file, err := readKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKeyFile(path)
	}
	return file, err
}

func readKeyFile(path string) (keyFile, error) {
	content, err := os.ReadFile(path)
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
	return file, writeSynced(path, append(content, '\n'))
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

// writeSynced writes a file, for the owner only, so that it is there whole or not at all.
func writeSynced(path string, content []byte) error {
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
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
