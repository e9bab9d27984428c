package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"daybook/internal/vault"
)

type keysCommand struct {
	List   keysListCommand   `cmd:"" help:"List the keys by id, the current one of each kind first, and what old master keys still wrap."`
	Make   keysMakeCommand   `cmd:"" help:"Print a new key, to be put into DAYBOOK_MASTER_KEYS, DAYBOOK_TOKEN_KEYS or DAYBOOK_ADDRESS_KEYS."`
	Rotate keysRotateCommand `cmd:"" help:"Put a new key before the generated ones. The service must not run."`
	Rewrap keysRewrapCommand `cmd:"" help:"Wrap all data keys with the current master key. The service may run."`
	Retire keysRetireCommand `cmd:"" help:"Drop an old generated key that is not needed any more. The service must not run."`
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
		_, _ = fmt.Fprintf(i.notes, "The %s key %s is current from the next start on.\n", c.Kind, made.Current().ID)
		return append(made, keys...), nil
	})
}

// changeGenerated changes one kind of the generated keys. It holds the data
// directory: a running service would not notice.
func (i *invocation) changeGenerated(kind string, change func(vault.KeySet) (vault.KeySet, error)) error {
	if i.settings.givenKeys(kind) != "" {
		return fmt.Errorf("the %s keys are not generated: change their setting, see docs/security.md", kind)
	}
	dir, err := openDataDir(i.settings.DataDir)
	if errors.Is(err, errInUse) {
		return fmt.Errorf("%w: end the service first, which reads its keys when it starts", err)
	}
	if err != nil {
		return err
	}
	return errors.Join(changeKeyFile(dir, kind, change), dir.close())
}

func changeKeyFile(dir *dataDir, kind string, change func(vault.KeySet) (vault.KeySet, error)) error {
	file, err := generatedKeys(dir.path)
	if err != nil {
		return err
	}
	text := file.of(kind)
	keys, err := vault.ParseKeySet(*text)
	if err != nil {
		return fmt.Errorf("%s: %w", dir.join(keyFileName), err)
	}
	if keys, err = change(keys); err != nil {
		return err
	}
	*text = keys.String()
	content, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	return writeSynced(filepath.Join(dir.path, keyFileName), append(content, '\n'), 0o600)
}

// of returns the kind's place in the file.
func (f *keyFile) of(kind string) *string {
	return map[string]*string{"master": &f.Master, "token": &f.Token, "address": &f.Address}[kind]
}

func (s *Settings) givenKeys(kind string) string {
	return map[string]string{"master": s.MasterKeys, "token": s.TokenKeys, "address": s.AddressKeys}[kind]
}

type keysRewrapCommand struct{}

// Run may be repeated, and cut off anywhere.
func (keysRewrapCommand) Run(i *invocation) error {
	return i.withRecords(func(ctx context.Context, o *operator) error {
		n, err := o.vault.Rewrap(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(i.notes, "%d data keys are wrapped anew; all are wrapped by master key %s.\n", n, o.keys.master.Current().ID)
		return err
	})
}

type keysRetireCommand struct {
	kindArgument
	ID string `arg:"" help:"The id that list shows."`
}

// Run refuses what would lose something: the current key, a master key that still
// wraps a data key, and any address key, under which addresses are claimed for as
// long as their accounts exist.
func (c keysRetireCommand) Run(i *invocation) error {
	switch c.Kind {
	case "address":
		return errors.New("address keys stay: addresses are claimed under them")
	case "master":
		if err := i.unused(c.ID); err != nil {
			return err
		}
	}
	return i.changeGenerated(c.Kind, func(keys vault.KeySet) (vault.KeySet, error) {
		at := slices.IndexFunc(keys, func(key vault.Key) bool { return key.ID == c.ID })
		switch at {
		case -1:
			return nil, fmt.Errorf("there is no %s key %s", c.Kind, c.ID)
		case 0:
			return nil, fmt.Errorf("the %s key %s is current; rotate first", c.Kind, c.ID)
		}
		_, _ = fmt.Fprintf(i.notes, "The %s key %s is dropped.\n", c.Kind, c.ID)
		return slices.Delete(keys, at, at+1), nil
	})
}

// unused refuses a master key that still wraps something.
func (i *invocation) unused(master string) error {
	return i.withRecords(func(ctx context.Context, o *operator) error {
		wrapped, err := o.vault.Wrapped(ctx)
		if err == nil && wrapped[master] > 0 {
			err = fmt.Errorf("master key %s still wraps %d data keys; run daybook keys rewrap first", master, wrapped[master])
		}
		return err
	})
}

type keysListCommand struct{}

// Run shows ids only.
func (keysListCommand) Run(i *invocation) error {
	return i.withRecords(func(ctx context.Context, o *operator) error {
		wrapped, err := o.vault.Wrapped(ctx)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(i.out, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "KIND\tID\tSTATE\tDATA KEYS")
		for _, kind := range []struct {
			name string
			keys vault.KeySet
		}{{"master", o.keys.master}, {"token", o.keys.token}, {"address", o.keys.address}} {
			for at, key := range kind.keys {
				_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", kind.name, key.ID, [2]string{"current", "known"}[min(at, 1)], wraps(kind.name, wrapped[key.ID]))
			}
		}
		return table.Flush()
	})
}

func wraps(kind string, n int64) string {
	if kind != "master" {
		return "-"
	}
	return fmt.Sprint(n)
}
