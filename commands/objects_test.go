package commands_test

import (
	"context"
	"net"
	"testing"
	"time"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/objectstore"
)

// TestNoPictureNoChange: with the object store away, an edit of text and picture
// changes neither (C85); repeated later, it changes both.
func TestNoPictureNoChange(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := listener.Addr().String()
	must(t, listener.Close())
	away, err := objectstore.New("http://key:secret@" + address + "/pictures")
	must(t, err)
	broken := w.another()
	broken.Objects = away
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	c, edit := caller(), commands.UpdateProfile{FirstName: new("Never"), Thumbnail: &commands.Thumbnail{ContentType: "image/png", Body: []byte("picture")}}
	if _, err := broken.UpdateProfile(ctx, c, account.ID, edit); err == nil {
		t.Error("acknowledged without its picture")
	}
	if after := w.account(account.ID); after.Revision != account.Revision {
		t.Errorf("the name is %q already", after.Profile.FirstName)
	}
	result, err := w.UpdateProfile(t.Context(), c, account.ID, edit)
	must(t, err)
	if result.Account.Profile.FirstName != "Never" || result.Account.Profile.Thumbnail == "" || count[domain.ProfileUpdated](w.events(domain.AccountStream(account.ID))) != 1 {
		t.Errorf("profile %+v", result.Account.Profile)
	}
}
