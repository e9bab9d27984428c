package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"daybook/internal/keyring"
	"daybook/internal/vault"
)

type keysCommand struct {
	List   keysListCommand   `cmd:"" help:"List the keys by id, the current one of each kind first, and what still needs the old ones."`
	Make   keysMakeCommand   `cmd:"" help:"Print a new key, to be put into DAYBOOK_MASTER_KEYS, DAYBOOK_TOKEN_KEYS or DAYBOOK_ADDRESS_KEYS."`
	Rotate keysRotateCommand `cmd:"" help:"Put a new key before the generated ones. A running service takes it up by itself."`
	Rewrap keysRewrapCommand `cmd:"" help:"Wrap all data keys with the current master key, or claim all addresses under the new address key."`
	Retire keysRetireCommand `cmd:"" help:"Drop an old key that is not needed any more."`
}

// kindArgument names a kind of keys.
type kindArgument struct {
	Kind string `arg:"" enum:"master,token,address" help:"master, token or address."`
}

type keysMakeCommand struct{}

// Run prints the key alone, so that a script can take it.
func (keysMakeCommand) Run(i *invocation) error {
	_, err := fmt.Fprintln(i.out, newKeySet())
	return err
}

type keysRotateCommand struct{ kindArgument }

// Run puts a new key in front. What the older ones made stays good.
func (c keysRotateCommand) Run(i *invocation) error {
	return i.changeGenerated(c.Kind, func(keys vault.KeySet) (vault.KeySet, error) {
		made, err := vault.ParseKeySet(newKeySet())
		if err != nil {
			return nil, err
		}
		_, _ = fmt.Fprintf(i.notes, "The %s key %s is known from now on. %s\n", c.Kind, made.Current().ID, afterRotation[c.Kind])
		return append(made, keys...), nil
	})
}

var afterRotation = map[string]string{
	keyring.Master:  "It becomes current within seconds; then: daybook keys rewrap master",
	keyring.Token:   "It becomes current within seconds.",
	keyring.Address: "It becomes current by: daybook keys rewrap address",
}

// changeGenerated changes one kind of the generated keys.
func (i *invocation) changeGenerated(kind string, change func(vault.KeySet) (vault.KeySet, error)) (err error) {
	if i.settings.givenKeys(kind) != "" {
		return fmt.Errorf("the %s keys are not generated: change their setting, see docs/security.md", kind)
	}
	if err := os.MkdirAll(i.settings.DataDir, 0o711); err != nil {
		return fmt.Errorf("DAYBOOK_DATA_DIR %s cannot be created: %w", i.settings.DataDir, err)
	}
	unlock, err := lockFile(filepath.Join(i.settings.DataDir, keyFileName+".lock"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	return changeKeyFile(i.settings.DataDir, kind, change)
}

// lockFile waits for the one who changes the keys at the same time. The directory's own
// lock is the running service's.
func lockFile(path string) (unlock func() error, err error) {
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock.Close, nil
}

func changeKeyFile(dir, kind string, change func(vault.KeySet) (vault.KeySet, error)) error {
	file, err := generatedKeys(dir)
	if err != nil {
		return err
	}
	path, text := filepath.Join(dir, keyFileName), file.of(kind)
	keys, err := vault.ParseKeySet(*text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if keys, err = change(keys); err != nil {
		return err
	}
	*text = keys.String()
	content, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	return writeSynced(path, append(content, '\n'))
}

// of returns the kind's place in the file.
func (f *keyFile) of(kind string) *string {
	return map[string]*string{"master": &f.Master, "token": &f.Token, "address": &f.Address}[kind]
}
