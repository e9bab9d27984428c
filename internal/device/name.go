package device

import (
	"slices"

	"github.com/mileusna/useragent"
)

// Unknown is the name of what is none of the known families.
const Unknown = "Unknown device"

// The known families. Anything else a client may have made up, and names are
// mailed: they must not carry a stranger's words.
var (
	browsers = []string{
		useragent.Chrome, useragent.Edge, useragent.Firefox, useragent.InternetExplorer, useragent.MobileSafari, useragent.Opera,
		useragent.OperaMini, useragent.OperaTouch, useragent.Safari, useragent.SamsungBrowser, useragent.Vivaldi,
	}
	systems = []string{
		useragent.Android, useragent.ChromeOS, useragent.CrOS, useragent.FreeBSD, useragent.Harmony, useragent.IOS,
		useragent.Linux, useragent.MacOS, useragent.Windows, useragent.WindowsPhone,
	}
)

// Name says what sent a user agent, such as "Firefox on Linux". It is made of known
// words only.
func Name(agent string) string {
	parsed := useragent.Parse(agent)
	if !slices.Contains(browsers, parsed.Name) || !slices.Contains(systems, parsed.OS) {
		return Unknown
	}
	return parsed.Name + " on " + parsed.OS
}
