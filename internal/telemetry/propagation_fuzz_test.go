package telemetry

import (
	"context"
	"strings"
	"testing"
)

// FuzzContinue: whatever a client calls its trace, what goes on is a traceparent of
// the standard's form (W3C Trace Context), or none.
func FuzzContinue(f *testing.F) {
	for _, seed := range []string{
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff",
		"00-00000000000000000000000000000000-0000000000000000-00", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01", "", "-", "\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, traceparent string) {
		kept := Traceparent(Continue(context.Background(), traceparent))
		if kept != "" && (len(kept) != 55 || strings.Trim(kept, "0123456789abcdef-") != "" || !strings.HasPrefix(kept, "00-")) {
			t.Errorf("%q goes on as %q", traceparent, kept)
		}
	})
}
