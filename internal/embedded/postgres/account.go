package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that the server runs as.
type account struct {
	name     string
	uid, gid uint32
	demoted  bool // another one than ours: we are root
}

// serverAccount returns the user that must run the server over dataDir: ourselves,
// or, for root, the owner of the existing cluster, else postgres, else nobody.
func serverAccount(uid, gid int, dataDir string) (account, error) {
	if uid != 0 {
		return ownAccount(uid, gid)
	}
	if owner, ok := ownerOf(dataDir); ok && owner.uid != 0 {
		return owner, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return parseAccount(u)
		}
	}
	return account{}, errors.New("the Postgres server refuses to run as root, and there is no user postgres or nobody to run it as: " +
		"run as an ordinary user or set DAYBOOK_DATABASE_URL")
}

// ownAccount refuses a uid without a name: initdb looks its own user up and fails
// with a message that does not say what to do.
func ownAccount(uid, gid int) (account, error) {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return account{}, fmt.Errorf("user id %d has no entry in the password file, which Postgres needs: "+
			"add one or set DAYBOOK_DATABASE_URL", uid)
	}
	return account{name: u.Username, uid: uint32(uid), gid: uint32(gid)}, nil
}

func ownerOf(path string) (account, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return account{}, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return account{}, false
	}
	owner := account{name: "uid " + strconv.Itoa(int(stat.Uid)), uid: stat.Uid, gid: stat.Gid, demoted: true}
	if u, err := user.LookupId(strconv.Itoa(int(stat.Uid))); err == nil {
		owner.name = u.Username
	}
	return owner, true
}

func parseAccount(u *user.User) (account, error) {
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("read the user id of %s: %w", u.Username, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("read the group id of %s: %w", u.Username, err)
	}
	return account{name: u.Username, uid: uint32(uid), gid: uint32(gid), demoted: true}, nil
}

// give makes path the account's.
func (a account) give(path string) error {
	if !a.demoted {
		return nil
	}
	if err := os.Chown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("give %s to %s: %w", path, a.name, err)
	}
	return nil
}

// credential is what a child needs to become the account; nil for our own.
func (a account) credential() *syscall.Credential {
	if !a.demoted {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: []uint32{}}
}

// reaches checks that the account may enter every directory above path: without
// this the only sign of a closed one is "permission denied" on the binary.
func (a account) reaches(path string) error {
	if !a.demoted {
		return nil
	}
	for directory := filepath.Dir(path); ; directory = filepath.Dir(directory) {
		info, err := os.Stat(directory)
		if err != nil {
			return fmt.Errorf("look at %s: %w", directory, err)
		}
		if !a.mayEnter(info) {
			return fmt.Errorf("%s cannot be reached by user %s, which must run Postgres because root may not: "+
				"%s has mode %#o (chmod o+x it, choose another directory, or run as an ordinary user)",
				path, a.name, directory, info.Mode().Perm())
		}
		if directory == filepath.Dir(directory) {
			return nil
		}
	}
}

func (a account) mayEnter(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case ok && stat.Uid == a.uid:
		return mode&0o100 != 0
	case ok && stat.Gid == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}
